"""The first trade of a range is found with few requests, however long there was none."""

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.exchanges import CONNECTORS
from marketprism.backfill.asking import Asking
from marketprism.backfill.holes import Span
from marketprism.backfill.job import Job, rows_for
from schemas.errors import RejectedError
from schemas.instruments import assumed_instrument
from tests.backfill.pasts import HOUR, MemoryTables

DAY_MS = 86_400_000
BEGIN = 20_000 * DAY_MS  # ms
DAYS = 1000
VARIANTS = {"binance-spot": "", "binance-usdm": "aggTrade", "deribit": "", "okx": ""}
SYMBOLS = {"binance-spot": "BTC-USDT", "binance-usdm": "BTC-USDT-PERP", "deribit": "BTC-USD-PERP", "okx": "BTC-USDT"}


class Exchange:
    """An exchange with trades at some times, ms, numbered from 5 on. `longest_ms`: of a range that it takes."""

    def __init__(self, times: list[int], longest_ms: int = DAYS * DAY_MS) -> None:
        self.trades = list(enumerate(sorted(times), 5))
        self.requests = 0
        self._longest_ms = longest_ms

    async def get(self, path: str, weight: float = 1.0, **parameters: str) -> bytes:
        """Answer as the exchange to which the path belongs."""
        self.requests += 1
        if path.startswith("/api/v5"):
            return self._okx(parameters)
        return self._deribit(parameters) if path.startswith("/api/v2") else self._binance(parameters)

    def _binance(self, given: Mapping[str, str]) -> bytes:
        found = self._between(given, "fromId", "startTime", "endTime")[: int(given["limit"])]
        rows = [{"a": number, "f": number, "id": number, "T": at, "time": at} for number, at in found]
        return orjson.dumps(rows)

    def _deribit(self, given: Mapping[str, str]) -> bytes:
        found = self._between(given, "start_seq", "start_timestamp", "end_timestamp")[: int(given["count"])]
        return orjson.dumps({"result": {"trades": [{"trade_seq": each, "timestamp": at} for each, at in found]}})

    def _okx(self, given: Mapping[str, str]) -> bytes:
        place, limit = {"1": 0, "2": 1}[given["type"]], int(given["limit"])
        found = [each for each in self.trades if each[place] < int(given["after"])][::-1][:limit]
        return orjson.dumps({"code": "0", "data": [{"tradeId": str(each), "ts": str(at)} for each, at in found]})

    def _between(self, given: Mapping[str, str], first: str, begin: str, end: str) -> list[tuple[int, int]]:
        if first in given:
            return [each for each in self.trades if each[0] >= int(given[first])]
        if int(given[end]) - int(given[begin]) > self._longest_ms:
            raise RejectedError("the range is too long")
        return [each for each in self.trades if int(given[begin]) <= each[1] <= int(given[end])]


def read(feed: str, exchange: Exchange, begin_ms: int, end_ms: int) -> list[int]:
    """Return the numbers of the trades of a range that the pages bring."""
    connector = CONNECTORS[feed](["trades"], variants={"trades": VARIANTS[feed]} if VARIANTS[feed] else None)
    instrument = assumed_instrument(feed, connector.feed.exchange, SYMBOLS[feed])
    [row] = rows_for(connector, instrument, "trades", "1m")
    span, paging = Span(begin_ms * 1000, end_ms * 1000), row.paging
    asking = Asking(exchange, row, Job(instrument, "trades", "1m", *span), MemoryTables())  # type: ignore[arg-type]

    async def collect() -> list[Any]:
        return [each async for page in asking.pages(span) for each in row.rows(page.body)]

    places = map(paging.place, asyncio.run(collect()))  # type: ignore[union-attr]
    return sorted({number for number, at in places if begin_ms <= at < end_ms})


@pytest.mark.parametrize("feed", ["binance-spot", "deribit", "okx"])
@given(
    first=st.integers(-2 * DAY_MS, (DAYS + 1) * DAY_MS),
    apart=st.lists(st.sampled_from([0, 0, 1, 1000, 3_599_999, 3_600_000, 30 * DAY_MS]), max_size=150),
)
def test_no_trade_is_skipped(feed: str, first: int, apart: list[int]) -> None:
    """All trades of the range arrive, whenever the first one was and however far apart they are."""
    times = [BEGIN + first]
    for length in apart:
        times.append(times[-1] + length)
    exchange, end = Exchange(times), BEGIN + DAYS * DAY_MS
    expected = [number for number, at in exchange.trades if BEGIN <= at < end]
    assert read(feed, exchange, BEGIN, end) == expected
    assert exchange.requests <= 50


@pytest.mark.parametrize("feed", ["binance-spot", "deribit", "okx"])
def test_no_trade_at_all(feed: str) -> None:
    """That there is none is found with few requests as well."""
    exchange = Exchange([])
    assert read(feed, exchange, BEGIN, BEGIN + DAYS * DAY_MS) == []
    assert exchange.requests <= 20


@pytest.mark.parametrize("feed", ["binance-spot", "binance-usdm"])
def test_short_ranges(feed: str) -> None:
    """Where an exchange takes no longer range than an hour, it is asked hour by hour."""
    exchange = Exchange([BEGIN + 20 * HOUR // 1000 + 5], HOUR // 1000)
    assert read(feed, exchange, BEGIN, BEGIN + DAY_MS) == [5]
    assert exchange.requests <= 26
