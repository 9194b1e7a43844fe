"""Times, and spans of time, that requests name."""

import time
from typing import NamedTuple

from marketprism.api.problems import RequestProblem
from schemas.errors import SettingsError
from schemas.times import parse_time

# Condition of a query for the events received in a span, whose times are its parameters.
WITHIN = """local_timestamp >= fromUnixTimestamp64Micro({start:Int64}, 'UTC')
    AND local_timestamp < fromUnixTimestamp64Micro({end:Int64}, 'UTC')"""
HOUR = 3_600_000_000  # µs


class Span(NamedTuple):
    """Times of receipt, µs: from `start` to before `end`."""

    start: int
    end: int


def span_of(start: str | None, end: str | None, default: int) -> Span:
    """Return the span of these texts: until now, and `default` µs long. Raise 422 if they are not times in order."""
    last = micros(end or "now")
    first = micros(start) if start else max(0, last - default)
    if first >= last:
        raise RequestProblem(422, "`from` is not before `to`")
    return Span(first, last)


def last_hours(hours: int) -> Span:
    """Return the span of the last hours until now."""
    now = now_us()
    return Span(now - hours * HOUR, now)


def micros(text: str) -> int:
    """Return a time in µs since the epoch. Raise 422 for a text that is not a time."""
    try:
        at = parse_time(text)
    except SettingsError as error:
        raise RequestProblem(422, str(error)) from None
    if not 0 <= at < 4_000_000_000_000_000:
        raise RequestProblem(422, f"{text!r:.80} is too far from now")
    return at


def now_us() -> int:
    """Return the time, µs since the epoch."""
    return time.time_ns() // 1000
