"""Spans of time."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from marketprism.client.span import Time, span_of
from schemas.errors import SettingsError

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
MICROS = 1_795_694_400_000_000


def test_times() -> None:
    """Datetimes of any zone and microseconds are the same."""
    there = NOON.astimezone(timezone(timedelta(hours=9))) + timedelta(microseconds=7)
    assert span_of(MICROS, there) == (MICROS, MICROS + 7)
    assert span_of(None, NOON) == (None, MICROS)


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (NOON, NOON, "is not before end"),
        (NOON.replace(tzinfo=None), None, "start 2026-11-26 12:00:00 has no time zone"),
        (MICROS // 1000, None, "is not a time in microseconds"),
        (None, MICROS * 1000, "is not a time in microseconds"),
    ],
)
def test_unusable_times(start: Time | None, end: Time | None, message: str) -> None:
    """Naive datetimes, other units and empty spans are errors."""
    with pytest.raises(SettingsError, match=message):
        span_of(start, end)
