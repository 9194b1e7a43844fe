"""Intervals of candles: our names of them, and where one begins and ends."""

from datetime import UTC, datetime, timedelta

_SECOND = 1_000_000  # µs
_FIXED = {
    "1s": 1, "1m": 60, "3m": 180, "5m": 300, "10m": 600, "15m": 900, "30m": 1800, "1h": 3600, "2h": 7200, "3h": 10_800,
    "4h": 14_400, "6h": 21_600, "8h": 28_800, "12h": 43_200, "1d": 86_400, "2d": 172_800, "3d": 259_200, "5d": 432_000,
    "1w": 604_800,
}  # fmt: skip
_MONTHS = {"1M": 1, "3M": 3, "1y": 12}

_TO_MONDAY = 4 * 86_400 * _SECOND  # the epoch was a Thursday

INTERVALS: tuple[str, ...] = (*_FIXED, *_MONTHS)
FIXED_INTERVALS: tuple[str, ...] = tuple(_FIXED)
"""Those whose length never varies, shortest first."""


def length_of(interval: str) -> int:
    """Return the length of a fixed interval in µs. `KeyError` for others."""
    return _FIXED[interval] * _SECOND


def origin_of(interval: str) -> int:
    """Return a start of a fixed interval, µs since the epoch: days begin at midnight of UTC, weeks on Monday."""
    return _TO_MONDAY if interval == "1w" else 0


def end_of(start: int, interval: str) -> int:
    """Return the end of an interval that begins at `start`, both µs since the epoch. `KeyError` for an unknown one.

    Months begin at midnight of the exchange's zone (HTX: UTC+8), so the end keeps the distance from UTC's midnight.
    """
    if interval in _FIXED:
        return start + _FIXED[interval] * _SECOND
    shift = -start % (86_400 * _SECOND)  # to UTC's next midnight, which is the first of the month
    first = datetime.fromtimestamp((start + shift) // _SECOND, UTC)
    months = first.year * 12 + first.month - 1 + _MONTHS[interval]
    end = datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)
    return (end - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) - shift
