"""State of feeds and instruments, from `market.status` and from when events were last received."""

from dataclasses import dataclass, field
from statistics import median_low
from typing import Literal

from marketprism.client.events import InstrumentChange, Status
from schemas.channels import POLLS
from schemas.feeds import Feed

_SECOND = 1_000_000
_STALE_AFTER = 15 * _SECOND  # µs without any event of a feed
_DOWN_AFTER = 60 * _SECOND
_ARRIVING = 5 * _SECOND  # since events arrived last: a feed with old ones is not down, but they are late
_REPORT_EVERY = 10  # s

State = Literal["starting", "live", "degraded", "stale", "down"]

_LOST = frozenset({"disconnected", "stopped", "absent"})
_RETURNED = frozenset({"connected", "returned"})
_FAILURES = {"rest_down": "rest_up", "rate_limited": "connected", "wrong_clock": "clock_right", "refused": "subscribed"}


@dataclass(slots=True)
class Reported:
    """What the workers last reported of one channel of an instrument; `latency` in µs."""

    messages: int = 0
    latency: int = 0
    at: int = 0


@dataclass(slots=True)
class Instrument:
    """One instrument of one exchange: its definition, and what is known of its channels."""

    exchange: str
    symbol: str
    feed: Feed
    definition: InstrumentChange | None = None
    definition_json: bytes = b""
    last_at: int = 0  # receipt of its last event, µs
    events: int = 0
    arrived_at: int = 0  # when events last arrived here, µs
    _events_before: int = 0
    up: set[str] = field(default_factory=set)
    down: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    failures: dict[str, str] = field(default_factory=dict)  # type of status → reason
    hosts: dict[str, str] = field(default_factory=dict)  # `ws`, `rest` → the last change of host or proxy
    by_rest: str = ""  # why its quotes are polled by REST; empty: they are not
    reason: str = ""  # of the last loss
    reported: dict[str, Reported] = field(default_factory=dict)

    @property
    def is_down(self) -> bool:
        """Whether no connection delivers any of its channels. Polls go on without one."""
        return bool(self.down) and not self.up - POLLS.keys()

    @property
    def is_begun(self) -> bool:
        """Whether a connection has delivered any of its channels."""
        return bool((self.up | self.down) - POLLS.keys())

    @property
    def is_closed(self) -> bool:
        """Whether the exchange has delisted it."""
        return self.definition is not None and self.definition.type == "delisted"

    def on_second(self, now: int) -> None:
        """Note whether events arrived in the last second."""
        if self.events > self._events_before:
            self.arrived_at, self._events_before = now, self.events

    def on_status(self, event: Status) -> None:
        """Apply an event of `market.status`."""
        channels = set(event.channels) or self.up | self.down | set(self.reported)
        if event.type == "report":
            self._on_report(event)
        elif event.type in _LOST:
            self.down |= channels
            self.up -= channels
            self.silent -= channels
            self.reason = event.type + (f": {event.reason}" if event.reason else "")
        elif event.type in _RETURNED:
            self._on_up(channels)
        elif event.type == "silent":
            self.silent |= channels
        elif event.type == "resumed":
            self.silent -= channels
        elif event.type == "host_changed":
            self.hosts[event.reason.partition(" ")[0]] = event.reason
        elif event.type == "rest_fallback":
            self.by_rest = event.reason
        elif event.type == "rest_fallback_ended" or (event.type == "subscribed" and "books" in channels):
            self.by_rest = ""  # a killed ingest does not say so; its successor subscribes
        self._on_failure(event)

    def _on_report(self, event: Status) -> None:
        for channel in event.channels:
            self.reported[channel] = Reported(event.messages, event.latency_median, event.local_timestamp)
        if event.messages:
            self._on_up(set(event.channels))
            self.silent -= set(event.channels)
            self.last_at = max(self.last_at, event.local_timestamp - event.age)

    def _on_up(self, channels: set[str]) -> None:
        self.up |= channels
        self.down -= channels

    def _on_failure(self, event: Status) -> None:
        if event.type in _FAILURES:
            self.failures[event.type] = event.reason
        for failure, end in _FAILURES.items():
            if event.type == end:
                self.failures.pop(failure, None)


@dataclass(frozen=True, slots=True)
class FeedState:
    """State of one feed. `age`: µs since its last event; `latency`: µs, the median of its channels' medians.

    `by_rest`: symbols whose quotes are polled. `hosts`: the last changes of its host or proxy, of sockets and of REST.
    """

    feed: str
    exchange: str
    state: State
    reason: str
    age: int | None
    last_at: int
    latency: int | None
    frames_per_second: float
    instruments: int
    instruments_down: int
    silent: list[str]
    by_rest: list[str]
    hosts: list[str]


def state_of(feed: Feed, instruments: list[Instrument], now: int) -> FeedState:
    """Return a feed's state from its instruments. `now`: µs."""
    known = [each for each in instruments if not each.is_closed]
    last_at = max((each.last_at for each in known), default=0)
    reports = [report for each in known for report in each.reported.values()]
    current = [report for report in reports if report.at > now - 3 * _REPORT_EVERY * _SECOND]
    latencies = [report.latency for report in current if report.messages and report.latency]
    down = [each for each in known if each.is_down]
    is_arriving = any(now - each.arrived_at < _ARRIVING for each in known)
    state, reason = _judge(known, down, now - last_at if last_at else None, is_arriving)
    return FeedState(
        feed.name,
        feed.exchange,
        state,
        reason,
        max(0, now - last_at) if last_at else None,
        last_at,
        median_low(latencies) if latencies else None,
        round(sum(report.messages for report in current) / _REPORT_EVERY, 1),
        len(known),
        len(down),
        sorted(f"{channel}:{each.symbol}" for each in known for channel in each.silent),
        sorted(each.symbol for each in known if each.by_rest),
        sorted({change for each in known for change in each.hosts.values()}),
    )


def _judge(known: list[Instrument], down: list[Instrument], age: int | None, is_arriving: bool) -> tuple[State, str]:
    has_events = age is not None and (age <= _STALE_AFTER or is_arriving)
    if down and len(down) == sum(each.is_begun for each in known):
        is_by_rest = has_events and all(each.by_rest and "rest_down" not in each.failures for each in down)
        return ("degraded", f"quotes by REST: {down[-1].reason}") if is_by_rest else ("down", down[-1].reason)
    if age is None:
        return "starting", "no event yet"
    if age > _STALE_AFTER and is_arriving:
        return "degraded", f"the pipeline is {age // _SECOND} s behind"
    if age > _STALE_AFTER:
        return ("down" if age > _DOWN_AFTER else "stale"), f"no event for {age // _SECOND} s"
    reasons = [f"{each.symbol} {each.reason}" for each in known if each.down]
    reasons += [f"{each.symbol} {channel} silent" for each in known for channel in sorted(each.silent)]
    reasons += [f"{each.symbol} by REST: {each.by_rest}" for each in known if each.by_rest]
    reasons += [f"{failure}: {reason}" for each in known for failure, reason in each.failures.items()]
    return ("degraded", reasons[0]) if reasons else ("live", "")
