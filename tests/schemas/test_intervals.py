"""Intervals of candles."""

from datetime import UTC, datetime

import pytest

from schemas.channels import CHANNELS, candles_of
from schemas.intervals import INTERVALS, end_of


def micros(*date: int) -> int:
    return int(datetime(*date, tzinfo=UTC).timestamp()) * 1_000_000  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("start", "interval", "end"),
    [
        (micros(2026, 2, 28, 23, 59), "1m", micros(2026, 3, 1)),
        (micros(2026, 1, 31), "1d", micros(2026, 2, 1)),
        (micros(2026, 2, 1), "1M", micros(2026, 3, 1)),
        (micros(2026, 12, 1), "1M", micros(2027, 1, 1)),
        (micros(2026, 10, 1), "3M", micros(2027, 1, 1)),
        (micros(2028, 1, 1), "1y", micros(2029, 1, 1)),
        (micros(2026, 1, 31, 16), "1M", micros(2026, 2, 28, 16)),  # February in UTC+8
        (micros(2025, 12, 31, 16), "1y", micros(2026, 12, 31, 16)),
    ],
)
def test_end_of(start: int, interval: str, end: int) -> None:
    """Months and years end with the calendar's, in the zone in which they begin."""
    assert end_of(start, interval) == end


def test_unknown_intervals_are_rejected() -> None:
    with pytest.raises(KeyError):
        end_of(0, "7m")


def test_every_interval_has_a_channel() -> None:
    assert {candles_of(name) for name in INTERVALS} <= set(CHANNELS)
