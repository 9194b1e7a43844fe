"""The intervals of candles: each is a function from a time in ms to the start and the end of its candle, in ms."""

from collections.abc import Callable
from datetime import UTC, datetime

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
UTC8_MS = 8 * HOUR_MS  # offset of the exchanges whose days begin at midnight in Hong Kong

Interval = Callable[[int], tuple[int, int]]

_EPOCH_TO_MONDAY_MS = 4 * DAY_MS  # the epoch was a Thursday


def every(length_ms: int, offset_ms: int = 0) -> Interval:
    """Return an interval of fixed length, which starts at multiples of it in the time zone `offset_ms` ahead of UTC."""

    def bounds(at_ms: int) -> tuple[int, int]:
        start = at_ms - (at_ms + offset_ms) % length_ms
        return start, start + length_ms

    return bounds


def weeks(offset_ms: int = 0) -> Interval:
    """Return the interval of a week, from Monday 00:00 in the time zone `offset_ms` ahead of UTC."""
    return every(7 * DAY_MS, offset_ms - _EPOCH_TO_MONDAY_MS)


def months(offset_ms: int = 0) -> Interval:
    """Return the interval of a calendar month in the time zone `offset_ms` ahead of UTC."""

    def bounds(at_ms: int) -> tuple[int, int]:
        day = datetime.fromtimestamp((at_ms + offset_ms) // SECOND_MS, UTC)
        following = (day.year + day.month // 12, day.month % 12 + 1)
        return _month_start(day.year, day.month) - offset_ms, _month_start(*following) - offset_ms

    return bounds


def years(offset_ms: int = 0) -> Interval:
    """Return the interval of a calendar year in the time zone `offset_ms` ahead of UTC."""

    def bounds(at_ms: int) -> tuple[int, int]:
        year = datetime.fromtimestamp((at_ms + offset_ms) // SECOND_MS, UTC).year
        return _month_start(year, 1) - offset_ms, _month_start(year + 1, 1) - offset_ms

    return bounds


def _month_start(year: int, month: int) -> int:
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * SECOND_MS
