"""Report the health of one instrument's feed: the topic `market.status`.

Data age and latency by channel, connection state and the exchange's clock. All of it derives from the raw lines: from
the frames' times and from ingest's markers.
"""

from collections.abc import Iterable
from statistics import median_low
from typing import Any

from schemas.channels import CHANNELS, CORE_CHANNELS
from schemas.errors import FrameError
from streams.output import Output
from streams.subject import Subject

_SAMPLES = 64  # latencies of one channel that are kept until its next report
_ENOUGH = 3  # messages in a second whose times prove a wrong clock: a single one may just be old
_NONE = 1 << 62
MOST_AHEAD = 3_600_000_000  # µs: clocks differ by far less, once they have been compared


class ChannelHealth:
    """Figures of one channel since its last report. Latencies, µs, are receipt minus exchange time, of two clocks."""

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
        self.repeated = 0  # duplicates among them
        self.stride = 1
        self.longest = -_NONE
        self.samples: list[int] = []

    def on_message(self, now: int, timestamp: int) -> None:
        """Count a message. One without an exchange time has its receipt time as `timestamp`."""
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
            if len(self.samples) == _SAMPLES:  # from here on only every other one
                del self.samples[::2]
                self.stride *= 2

    def on_second(self, offset: int, limit: int) -> bool:
        """Judge the past second. Returns whether the exchange's clock has become wrong, or right again."""
        low, high, enough = self.low + offset, self.high + offset, self.fresh >= _ENOUGH
        self.longest = max(self.longest, self.high)
        self.low, self.high, self.fresh = _NONE, -_NONE, 0
        was_wrong = self.wrong
        if enough:
            self.wrong = low > limit or high < -limit
        return self.wrong != was_wrong

    def report(self, now: int, offset: int) -> dict[str, int]:
        """Return the figures since the last report."""
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
        """Return the state for a checkpoint."""
        return [getattr(self, name) for name in self.__slots__]

    def load(self, dump: list[Any]) -> None:
        """Restore the state of a checkpoint."""
        for name, value in zip(self.__slots__, dump, strict=True):
            setattr(self, name, value)


class FeedStatus:
    """Health of one instrument's channels and connection. `up`: the channels that a connection delivers now.

    `stopped`: the channels whose ingest was stopped, with the time of their last message until then, µs.
    """

    __slots__ = (
        "_channels",
        "_limit",
        "_subscribed",
        "offset",
        "reconnects",
        "renewals",
        "round_trip",
        "stopped",
        "subject",
        "up",
    )

    def __init__(self, subject: Subject, clock_limit: int) -> None:
        """`clock_limit`: µs by which the exchange's times may be off."""
        self.subject = subject
        self.up: set[str] = set()
        self.stopped: dict[str, int] = {}
        self.offset = self.round_trip = 0
        self.reconnects = self.renewals = 0
        self._limit = clock_limit
        self._subscribed: set[str] = set()  # at any time
        self._channels = {name: ChannelHealth() for name in CORE_CHANNELS}

    def health_of(self, channel: str) -> ChannelHealth:
        """Return the figures of a channel."""
        health = self._channels.get(channel)
        return health or self._channels.setdefault(channel, ChannelHealth())

    @property
    def is_begun(self) -> bool:
        """Whether any channel was ever connected."""
        return bool(self._subscribed)

    def were_cut_off(self, channels: Iterable[str]) -> bool:
        """Return whether these channels, connecting now, were never disconnected: their ingest has died."""
        return not self.up.isdisjoint(channels)

    # What ingest's markers report

    def on_connected(self, channels: Iterable[str]) -> None:
        """Note that a connection delivers these channels."""
        self.reconnects += not self._subscribed.isdisjoint(channels)
        self._subscribed.update(channels)
        self.up.update(channels)

    def on_disconnected(self, channels: Iterable[str]) -> None:
        """Note that nothing delivers these channels any more."""
        self.up.difference_update(channels)

    def on_stopped(self, channels: Iterable[str]) -> None:
        """Note that an ingest of these channels was stopped. If another one goes on, messages will tell."""
        self.stopped |= {channel: self.health_of(channel).last_message_at for channel in channels}

    def take_stopped(self, channels: Iterable[str]) -> set[str]:
        """Return those of these channels, connecting now, that nothing has delivered since they were stopped."""
        return {channel for channel in channels if self.stopped.pop(channel, None) is not None}

    def on_clock(self, offset: int, round_trip: int) -> None:
        """Take the exchange's clock minus ours, and the time that it took to ask, µs."""
        self.offset, self.round_trip = offset, round_trip

    def check_not_ahead(self, now: int, timestamp: int) -> None:
        """Raise `FrameError` for a time that is ahead of the exchange's clock: what follows would seem to be old.

        `now`: µs of receipt.
        """
        if timestamp > now + self.offset + MOST_AHEAD:
            raise FrameError(f"a time in the future: {timestamp} µs, received at {now}")

    def shift(self, step: int) -> None:
        """Move all remembered times by `step` µs: our clock was set."""
        for health in self._channels.values():
            health.last_message_at += step if health.last_message_at else 0
        self.stopped = {channel: at + step if at else 0 for channel, at in self.stopped.items()}

    # Events

    def on_second(self, out: Output) -> None:
        """Report what has changed in the past second of stream time."""
        if self.stopped:
            self._report_resumed(out)
        for channel, health in self._channels.items():
            if health.on_second(self.offset, self._limit):
                self.publish(out, "wrong_clock" if health.wrong else "clock_right", [channel])

    def _report_resumed(self, out: Output) -> None:
        """Report the stopped channels that another ingest has delivered since."""
        channels = self._channels
        if resumed := sorted(name for name, at in self.stopped.items() if channels[name].last_message_at != at):
            self.take_stopped(resumed)
            self.up.update(resumed)
            self.publish(out, "resumed", resumed)

    def report(self, out: Output) -> None:
        """Report the figures of each channel that was ever subscribed or received."""
        for channel, health in self._channels.items():
            if channel in self._subscribed or health.last_message_at:
                self._publish(out, self._event("report", [channel], "") | health.report(out.now, self.offset))

    def publish(self, out: Output, kind: str, channels: Iterable[str] = (), reason: str = "", age: int = 0) -> None:
        """Publish one event."""
        self._publish(out, self._event(kind, list(channels), reason) | {"age": age})

    def _publish(self, out: Output, fields: dict[str, Any]) -> None:
        out.event("market.status", self.subject.key, out.head(self.subject, out.now) | fields)

    def _event(self, kind: str, channels: list[str], reason: str) -> dict[str, Any]:
        counts = [self.offset, self.round_trip, self.reconnects, self.renewals]
        return status_fields(kind, channels, reason, *counts)

    # Checkpoint

    def dump(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {
            "subscribed": sorted(self._subscribed),
            "up": sorted(self.up),
            "stopped_after": self.stopped,
            "counts": [self.offset, self.round_trip, self.reconnects, self.renewals],
            "channels": [[name, health.dump()] for name, health in self._channels.items()],
        }

    def load(self, dump: dict[str, Any]) -> None:
        """Restore the state of a checkpoint."""
        self._subscribed, self.up = set(dump["subscribed"]), set(dump["up"])
        stopped = dump.get("stopped_after", {})  # checkpoints of earlier versions have none
        self.stopped = {name: at for name, at in stopped.items() if name in CHANNELS}
        self.offset, self.round_trip, self.reconnects, self.renewals = dump["counts"]
        for name, channel in dump["channels"]:
            if name in CHANNELS:
                self.health_of(name).load(channel)


def status_fields(
    kind: str,
    channels: list[str],
    reason: str,
    clock_offset: int = 0,
    round_trip: int = 0,
    reconnects: int = 0,
    renewals: int = 0,
) -> dict[str, Any]:
    """Return the fields of a `market.status` event that follow its head."""
    return {
        "type": kind,
        "channels": channels,
        "reason": reason,
        "messages": 0,
        "repeated": 0,
        "age": 0,
        "latency_median": 0,
        "latency_max": 0,
        "clock_offset": clock_offset,
        "round_trip": round_trip,
        "reconnects": reconnects,
        "renewals": renewals,
    }
