"""Starts and ends of candles, against times written by hand."""

from datetime import datetime

from marketprism.simulator.market.intervals import DAY_MS, HOUR_MS, MINUTE_MS, UTC8_MS, every, months, weeks, years


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1000


def test_fixed_lengths() -> None:
    """A candle begins at a multiple of its length, of a day at midnight in the given time zone."""
    now = at("2026-11-25T17:23:45Z") + 678
    assert every(5 * MINUTE_MS)(now) == (at("2026-11-25T17:20:00Z"), at("2026-11-25T17:25:00Z"))
    assert every(4 * HOUR_MS)(now) == (at("2026-11-25T16:00:00Z"), at("2026-11-25T20:00:00Z"))
    assert every(DAY_MS)(now) == (at("2026-11-25T00:00:00Z"), at("2026-11-26T00:00:00Z"))
    assert every(DAY_MS, UTC8_MS)(now) == (at("2026-11-26T00:00:00+08:00"), at("2026-11-27T00:00:00+08:00"))
    start, end = every(MINUTE_MS)(at("2026-11-25T17:23:00Z"))
    assert (start, every(MINUTE_MS)(end)[0]) == (at("2026-11-25T17:23:00Z"), end)


def test_weeks_begin_on_monday() -> None:
    """2026-11-25 is a Wednesday."""
    assert weeks()(at("2026-11-25T17:00:00Z")) == (at("2026-11-23T00:00:00Z"), at("2026-11-30T00:00:00Z"))
    assert weeks()(at("2026-11-22T23:59:59Z"))[1] == at("2026-11-23T00:00:00Z")
    assert weeks(UTC8_MS)(at("2026-11-22T16:00:00Z"))[0] == at("2026-11-23T00:00:00+08:00")


def test_calendar_months() -> None:
    """Months have their own lengths, in December the year ends, and the time zone decides at their boundaries."""
    assert months()(at("2026-11-25T17:00:00Z")) == (at("2026-11-01T00:00:00Z"), at("2026-12-01T00:00:00Z"))
    assert months()(at("2026-12-31T23:59:59Z")) == (at("2026-12-01T00:00:00Z"), at("2027-01-01T00:00:00Z"))
    assert months()(at("2028-02-29T00:00:00Z"))[1] == at("2028-03-01T00:00:00Z")
    assert months(UTC8_MS)(at("2026-11-30T16:00:00Z"))[0] == at("2026-12-01T00:00:00+08:00")


def test_calendar_years() -> None:
    """The time zone decides at their boundaries."""
    assert years()(at("2026-12-31T23:59:59Z")) == (at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"))
    assert years(UTC8_MS)(at("2026-12-31T16:00:00Z"))[0] == at("2027-01-01T00:00:00+08:00")
