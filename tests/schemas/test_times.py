"""Times of the command line."""

from datetime import UTC, datetime, timedelta

import pytest

from schemas.errors import SettingsError
from schemas.times import parse_span, parse_time

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOON),
        ("2026-11-25", NOON - timedelta(hours=36)),
        ("2026-11-26T11:59:30", NOON - timedelta(seconds=30)),
        ("2026-11-26T12:00:00Z", NOON),
        ("2026-11-26 14:00+02:00", NOON),
        ("10m ago", NOON - timedelta(minutes=10)),
        ("1.5h", NOON - timedelta(minutes=90)),
        ("2 d ago", NOON - timedelta(days=2)),
    ],
)
def test_times(text: str, expected: datetime) -> None:
    """ISO times are in UTC unless they say otherwise."""
    assert parse_time(text, NOON) == int(expected.timestamp() * 1_000_000)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "10", "26.11.2026", "-5m", "999999999d ago", "9" * 400 + "s", "9999999d"]
)
def test_unusable_times(text: str) -> None:
    """The error lists what may be written."""
    with pytest.raises(SettingsError, match="10m ago"):
        parse_time(text, NOON)


def test_empty_span() -> None:
    """The start must be before the end."""
    with pytest.raises(SettingsError, match="--from 5m ago is not before --to 10m ago"):
        parse_span("5m ago", "10m ago")
