"""Which of Binance's public data files have a range: docs/protocols/binance.md §2.8."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from marketprism.backfill.holes import Span

HOST = "https://data.binance.vision"

_DAY_US = 86_400_000_000
_PUBLISHED_AFTER = timedelta(days=3)  # from a month's end on, after which its file is there
_MONTHLY = ("3d", "1w", "1M")  # intervals of which only months have files
_NAMES = {"1M": "1mo"}  # of intervals, where they are not those of the API
_MARKETS = {"binance-spot": "spot", "binance-usdm": "futures/um", "binance-coinm": "futures/cm"}


class DataFile(NamedTuple):
    """One file: its path at the host, and what it has, µs. `days`: the files of the days of a month's file."""

    path: str
    span: Span
    days: tuple["DataFile", ...] = ()


def has_files(feed: str) -> bool:
    """Return whether a feed has public data files."""
    return feed in _MARKETS


def data_files(feed: str, data: str, symbol: str, interval: str, span: Span, now: datetime) -> Iterator[DataFile]:
    """Yield the files that have a span, in order: of whole months, and of days. `data`: trades, aggTrades or klines.

    Candles are in the file of the day or month in which they begin.
    """
    if data == "klines" and interval in _MONTHLY:
        yield from _months(feed, data, symbol, interval, span)
        return
    day, last = _day_of(span.begin), _day_of(span.end - 1)
    while day <= last:
        following = _next_month(day)
        if day.day == 1 and following <= last + timedelta(days=1) and _start_of(following) + _PUBLISHED_AFTER <= now:
            numbers = range((following - day).days)
            days = tuple(_file(feed, data, symbol, interval, day + timedelta(days=number)) for number in numbers)
            yield _month(feed, data, symbol, interval, day)._replace(days=days)
            day = following
        else:
            yield _file(feed, data, symbol, interval, day)
            day += timedelta(days=1)


def _months(feed: str, data: str, symbol: str, interval: str, span: Span) -> Iterator[DataFile]:
    day, last = _day_of(span.begin).replace(day=1), _day_of(span.end - 1)
    while day <= last:
        yield _month(feed, data, symbol, interval, day)
        day = _next_month(day)


def _month(feed: str, data: str, symbol: str, interval: str, first: date) -> DataFile:
    return DataFile(_path(feed, data, symbol, interval, f"{first:%Y-%m}"), _span(first, _next_month(first)))


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _file(feed: str, data: str, symbol: str, interval: str, day: date) -> DataFile:
    return DataFile(_path(feed, data, symbol, interval, f"{day:%Y-%m-%d}"), _span(day, day + timedelta(days=1)))


def _path(feed: str, data: str, symbol: str, interval: str, period: str) -> str:
    length = "daily" if period.count("-") == 2 else "monthly"
    name = _NAMES.get(interval, interval) if data == "klines" else data
    folder = f"{symbol}/{name}" if data == "klines" else symbol
    return f"/data/{_MARKETS[feed]}/{length}/{data}/{folder}/{symbol}-{name}-{period}.zip"


def _day_of(time_us: int) -> date:
    return datetime.fromtimestamp(time_us // 1_000_000, UTC).date()


def _start_of(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _span(begin: date, end: date) -> Span:
    epoch = date(1970, 1, 1)
    return Span((begin - epoch).days * _DAY_US, (end - epoch).days * _DAY_US)
