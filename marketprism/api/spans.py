"""Spans of time that requests name."""

from typing import NamedTuple

from marketprism.api.market import now_us
from marketprism.api.past_books import micros
from marketprism.api.problems import RequestProblem

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
