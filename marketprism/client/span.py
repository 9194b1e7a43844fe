"""A span of time of events: from `start` until before `end`, by the time of receipt."""

from datetime import datetime
from typing import NamedTuple

from schemas.errors import SettingsError

_SECOND = 1_000_000
_MIN = 10**14  # µs; a number below is of seconds or ms
_MAX = 10**17

Time = datetime | int  # µs since the epoch


class Span(NamedTuple):
    """Start and end, µs since the epoch. No start: from now on. No end: without end."""

    start: int | None = None
    end: int | None = None


def span_of(start: Time | None, end: Time | None) -> Span:
    """Return the span. Raise `SettingsError` for a time without a time zone, in another unit, or an empty span."""
    span = Span(_micros("start", start), _micros("end", end))
    if span.start is not None and span.end is not None and span.start >= span.end:
        raise SettingsError(f"start {start!r} is not before end {end!r}")
    return span


def _micros(name: str, time: Time | None) -> int | None:
    if time is None:
        return None
    if isinstance(time, datetime):
        if time.tzinfo is None:
            raise SettingsError(f"{name} {time} has no time zone: write datetime(…, tzinfo=UTC)")
        return int(time.timestamp()) * _SECOND + time.microsecond
    if not _MIN <= time < _MAX:
        raise SettingsError(f"{name} {time} is not a time in microseconds since the epoch")
    return time
