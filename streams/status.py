"""The watch over one instrument's feed: data age and latency by channel, connection state, the exchange's clock.

All of it from the raw lines: from the frames' times, and from what ingest tells in its markers.
"""

from collections.abc import Iterable
from statistics import median_low
from typing import Any

from schemas.channels import CHANNELS

_SAMPLES = 64  # latencies kept of one channel until its next report
_ENOUGH = 3  # messages of a second from which their times tell a wrong clock: a single one may just be old
_NONE = 1 << 62


class ChannelHealth:
    """One channel since its last report. Latencies, in µs, are receipt minus exchange time, by two clocks."""

    __slots__ = (
        "fresh", "high", "last_message_at", "longest", "low", "messages", "repeated", "samples", "stride", "wrong",
    )  # fmt: skip

    def __init__(self) -> None:
        self.last_message_at = 0
        self.wrong = False
        self.low, self.high, self.fresh = _NONE, -_NONE, 0  # since the last second
        self._restart()

    def _restart(self) -> None:
        self.messages = 0
        self.repeated = 0  # of them: what was held already
        self.stride = 1
        self.longest = -_NONE
        self.samples: list[int] = []

    def heard(self, now: int, timestamp: int) -> None:
        """A message; one without an exchange time bears its receipt."""
        self.last_message_at = now
        self.messages += 1
        if timestamp == now:
            return
        latency = now - timestamp
        self.fresh += 1
        if latency < self.low:
            self.low = latency
        if latency > self.high:
            self.high = latency
        if not self.messages % self.stride:
            self.samples.append(latency)
            if len(self.samples) == _SAMPLES:  # every other one, from here on too
                del self.samples[::2]
                self.stride *= 2

    def second(self, offset: int, limit: int) -> bool:
        """A second has passed; whether the exchange's clock is found wrong, or right again."""
        low, high, enough = self.low + offset, self.high + offset, self.fresh >= _ENOUGH
        self.longest = max(self.longest, self.high)
        self.low, self.high, self.fresh = _NONE, -_NONE, 0
        was_wrong = self.wrong
        if enough:
            self.wrong = low > limit or high < -limit
        return self.wrong != was_wrong

    def report(self, now: int, offset: int) -> dict[str, int]:
        """The figures since the last report."""
        self.longest = max(self.longest, self.high)
        known = bool(self.samples)
        figures = {
            "messages": self.messages,
            "repeated": self.repeated,
            "age": now - self.last_message_at if self.last_message_at else 0,
            "latency_median": median_low(self.samples) + offset if known else 0,
            "latency_max": self.longest + offset if known else 0,
        }
        self._restart()
        return figures

    def dump(self) -> list[Any]:
        return [getattr(self, name) for name in self.__slots__]

    def load(self, dump: list[Any]) -> None:
        for name, value in zip(self.__slots__, dump, strict=True):
            setattr(self, name, value)


class FeedStatus:
    """Gathers; `events` of a marker, of a second and of a report are the fields of `market.status` events."""

    __slots__ = ("_carried", "_limit", "books", "offset", "quotes", "reconnects", "renewals", "round_trip", "trades",
                 "up")  # fmt: skip

    def __init__(self, clock_limit: int) -> None:
        """`clock_limit`: µs that the exchange's times may be off."""
        self._limit = clock_limit
        self._carried: set[str] = set()
        self.up: set[str] = set()  # channels that a connection brings now, as far as markers tell
        self.offset = self.round_trip = 0
        self.reconnects = self.renewals = 0
        self.trades, self.books, self.quotes = ChannelHealth(), ChannelHealth(), ChannelHealth()

    def marker(self, kind: str, marker: dict[str, Any]) -> list[dict[str, Any]]:
        """What a marker tells; `kind` is its type."""
        channels = marker.get("channels") or ([marker["channel"]] if "channel" in marker else [])
        if kind == "clock":
            self.offset, self.round_trip = marker["offset"], marker["round_trip"]
            return []
        if kind == "connected":
            channels = channels or list(CHANNELS)
            self.reconnects += bool(self._carried & set(channels))
            self._carried.update(channels)
            self.up.update(channels)
        if kind in ("disconnected", "delisted"):
            self.up.difference_update(channels or CHANNELS)
        if kind == "renewed":
            self.renewals += 1
        return [self.event(kind, channels, _reason(marker)) | {"age": marker.get("age", 0)}]

    @property
    def is_begun(self) -> bool:
        """Whether any channel was ever connected."""
        return bool(self._carried)

    def were_cut_off(self, channels: Iterable[str]) -> bool:
        """Whether these channels, connected now, were so before without an end: whoever carried them has died."""
        return not self.up.isdisjoint(channels)

    def shift(self, step: int) -> None:
        """Move all remembered times by `step` µs: our clock was set."""
        for _, health in self._channels():
            health.last_message_at += step if health.last_message_at else 0

    def second(self) -> list[dict[str, Any]]:
        """Each second of stream time."""
        return [
            self.event("wrong_clock" if health.wrong else "clock_right", [channel])
            for channel, health in self._channels()
            if health.second(self.offset, self._limit)
        ]

    def report(self, now: int) -> list[dict[str, Any]]:
        """The figures of each channel that is carried or was heard."""
        return [
            self.event("report", [channel]) | health.report(now, self.offset)
            for channel, health in self._channels()
            if channel in self._carried or health.last_message_at
        ]

    def _channels(self) -> list[tuple[str, ChannelHealth]]:
        return list(zip(CHANNELS, (self.trades, self.books, self.quotes), strict=True))

    def event(self, kind: str, channels: list[str], reason: str = "") -> dict[str, Any]:
        """The fields of one `market.status` event."""
        return {
            "type": kind,
            "channels": channels,
            "reason": reason,
            "messages": 0,
            "repeated": 0,
            "age": 0,
            "latency_median": 0,
            "latency_max": 0,
            "clock_offset": self.offset,
            "round_trip": self.round_trip,
            "reconnects": self.reconnects,
            "renewals": self.renewals,
        }

    def dump(self) -> dict[str, Any]:
        return {
            "carried": sorted(self._carried),
            "up": sorted(self.up),
            "counts": [self.offset, self.round_trip, self.reconnects, self.renewals],
            "channels": [health.dump() for _, health in self._channels()],
        }

    def load(self, dump: dict[str, Any]) -> None:
        self._carried, self.up = set(dump["carried"]), set(dump["up"])
        self.offset, self.round_trip, self.reconnects, self.renewals = dump["counts"]
        for (_, health), channel in zip(self._channels(), dump["channels"], strict=True):
            health.load(channel)


def _reason(marker: dict[str, Any]) -> str:
    if "step" in marker:
        return str(marker["step"])
    if "status" in marker:
        return f"{marker['where']} {marker['status']}: wait {marker['seconds']:g} s"
    return str(marker.get("reason", ""))
