"""Sockets are refused while REST works: quotes go on by REST, marked, no signal rests on them, and books come back."""

import asyncio
from typing import Any

import orjson
import pytest

from marketprism.simulator import Arbitrage, Maintenance, Simulators
from marketprism.simulator.market.listings import LISTINGS
from schemas.feeds import FEEDS
from schemas.settings import Settings, load_settings
from streams.arbitrage.join import JoinProcessor
from streams.output import Output
from tests.e2e.in_process import InProcessPipeline, check_books

_BOOKS = {feed: [each.symbol for each in LISTINGS if each.feed == feed] for feed in FEEDS}
_KEYS = {f"{FEEDS[feed].exchange}:{symbol}": feed for feed, symbols in _BOOKS.items() for symbol in symbols}
_WITHIN = 10.0  # s from the loss of the sockets to the first quote by REST
_BINANCE = ("binance-spot", "binance-usdm", "binance-coinm", "deribit")
_OTHERS = ("okx", "htx-spot", "htx-linear")


class JoinedPipeline(InProcessPipeline):
    """Pipeline whose quotes are joined. `signals`: all signals, in order."""

    def __init__(self, settings: Settings, simulators: Simulators) -> None:
        super().__init__(settings, simulators)
        self.signals: list[dict[str, Any]] = []
        self._joins = [JoinProcessor(number, settings) for number in range(settings.partitions)]
        self._offset = 0

    def take_joins(self, output: Output) -> None:
        for partition, lines in output.joins.items():
            self._offset += 1
            for topic, _, value in self._joins[partition].process(self._offset, b"\n".join(lines)).records:
                if topic == "signals.arbitrage":
                    self.signals.append(orjson.loads(value))


def rest_quotes(pipeline: InProcessPipeline, key: str) -> list[dict[str, Any]]:
    return [quote for quote in pipeline.events_of("market.quotes", key) if quote["origin"] == "rest"]


def statuses(pipeline: InProcessPipeline, key: str) -> list[str]:
    kinds = [status["type"] for status in pipeline.events_of("market.status", key)]
    return [kind for kind in kinds if kind.startswith("rest_") or kind == "rate_limited"]


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("refused", "seconds", "after_s"),
    [
        pytest.param(_BINANCE, 12.0, 2.0, id="binance-and-deribit", marks=pytest.mark.long),
        pytest.param(_OTHERS, 12.0, 2.0, id="okx-and-htx"),
        pytest.param(_BINANCE, 60.0, 5.0, id="binance-and-deribit-for-a-minute", marks=pytest.mark.long),
        pytest.param(_OTHERS, 60.0, 5.0, id="okx-and-htx-for-a-minute", marks=pytest.mark.long),
    ],
)
async def test_refused_sockets(settings: Settings, refused: tuple[str, ...], seconds: float, after_s: float) -> None:
    """Each instrument has quotes by REST within 10 s, until its book is live again; no gap stays open."""
    symbols = sorted({symbol for symbols in _BOOKS.values() for symbol in symbols})
    without = [key for key, feed in _KEYS.items() if feed in refused]
    async with Simulators(rate=3.0) as simulators:
        made = settings.model_dump() | {"endpoints": simulators.endpoints, "symbols": symbols}
        own = load_settings(**made | {"rest_fallback_after_s": after_s})
        async with JoinedPipeline(own, simulators) as pipeline:
            await pipeline.until(lambda: all(map(pipeline.is_live, _KEYS)), "every book is live")
            outages = [await simulators.plant(Maintenance(feed=feed, seconds=seconds)) for feed in refused]
            await pipeline.until(
                lambda: all(rest_quotes(pipeline, key) for key in without), "every quote goes on by REST", _WITHIN
            )
            joined_before = len(pipeline.signals)
            await simulators.plant(Arbitrage(symbol="BTC-USDT", buy="okx", sell="binance-spot", bps=60.0, seconds=2.0))
            await asyncio.sleep(2.5)
            assert pipeline.signals[joined_before:] == []
            await pipeline.until(lambda: all(each.ended_at for each in outages), "sockets are accepted", seconds)
            await pipeline.until(
                lambda: all(map(pipeline.is_live, _KEYS)) and not open_gaps(pipeline), "books are live again", 45
            )
            await check_books(pipeline, _BOOKS)
            await pipeline.until(
                lambda: all(statuses(pipeline, key)[-1:] == ["rest_fallback_ended"] for key in without), "it is over"
            )
    check_quotes(pipeline, without)
    assert [event for topic, event in pipeline.events if topic == "dead_letters"] == []
    assert not any("rest" in (signal["buy"]["origin"], signal["sell"]["origin"]) for signal in pipeline.signals)
    for key in _KEYS:
        assert statuses(pipeline, key) == (["rest_fallback", "rest_fallback_ended"] if key in without else [])


def open_gaps(pipeline: InProcessPipeline) -> set[str]:
    """Return the ids of open gaps, other than those of numbered trades, which only asking for the past can fill."""
    gaps = [event for topic, event in pipeline.events if topic == "market.gaps" and not event["first_missing"]]
    opened, closed = ({gap["id"] for gap in gaps if gap["type"] == kind} for kind in ("opened", "closed"))
    return opened - closed


def check_quotes(pipeline: InProcessPipeline, keys: list[str]) -> None:
    """Check that quotes by REST move on, never backwards, and are there only while the book is not live."""
    for key in _KEYS:
        quotes = rest_quotes(pipeline, key)
        assert bool(quotes) == (key in keys)
        for field in ("sequence", "timestamp", "local_timestamp"):
            values = [quote[field] for quote in quotes]
            assert values == sorted(values)
        books = [book["local_timestamp"] for book in pipeline.events_of("market.books", key)]
        for quote in quotes:
            assert quote["bids"]
            assert quote["asks"]
        if quotes:
            first, last = quotes[0]["local_timestamp"], quotes[-1]["local_timestamp"]
            assert not [at for at in books if first <= at <= last]
