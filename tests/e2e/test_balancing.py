"""Hundreds of instruments of unequal load are spread evenly over a feed's connections, while their data flow."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random

import pytest

from ingest import subscription
from ingest.exchanges.okx import Okx
from ingest.timings import Timings
from marketprism.ops.connections import last_reports
from marketprism.simulator import Simulators
from marketprism.simulator.market import listings
from marketprism.simulator.market.instrument import SimulatedInstrument, Trade
from schemas.settings import Settings, load_settings
from tests.e2e.in_process import InProcessPipeline, check_books

_GROUPS, _SIZE = 6, 50
_SYMBOLS = [f"BTC-Q{number:03}" for number in range(_GROUPS * _SIZE)]
_KEYS = [f"okx:{symbol}" for symbol in _SYMBOLS]
_LOAD = 0.0015  # share of the market's steps that the quietest instruments take: together they send some 700 frames/s


@pytest.fixture
def simulators(monkeypatch: pytest.MonkeyPatch) -> Simulators:
    """Return an exchange with 300 instruments. The first fifty trade most, the last fifty least, and some far more."""
    [like] = [each for each in listings.LISTINGS if (each.feed, each.symbol) == ("okx", "BTC-USDT")]
    monkeypatch.setattr(listings, "LISTINGS", tuple(replace(like, symbol=symbol) for symbol in _SYMBOLS))
    monkeypatch.setattr(listings, "OPTIONS", ())
    made, random = Simulators(["okx"], levels=10), Random(1)
    made._market.hold("BTC")  # otherwise all requote whenever the price moves
    for number, symbol in enumerate(_SYMBOLS):
        share = _LOAD * (_GROUPS - number // _SIZE) ** 2 * random.paretovariate(1.2)
        _slow_down(made.instrument("okx", symbol), share, Random(number), monkeypatch)
    return made


def _slow_down(instrument: SimulatedInstrument, share: float, random: Random, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an instrument take only a share of its steps."""
    step = instrument.step

    def sometimes(rate: float) -> Iterator[Trade | None]:
        return step(rate) if random.random() < share else iter(())

    monkeypatch.setattr(instrument, "step", sometimes)


async def reported(settings: Settings, reached: Callable[[list[float]], bool]) -> list[float]:
    """Wait for a report of the frames/s of each connection that fulfils a condition, for minutes if need be."""
    async with asyncio.timeout(240):
        while True:
            await asyncio.sleep(5.0)  # so that each report is seen once
            [seen] = await last_reports(settings)
            load = [connection.frames for connection in seen.report.connections]
            if reached(load):
                return load


def spread(load: list[float]) -> float:
    """Return the load of the busiest connection, as a multiple of the mean."""
    return max(load) * len(load) / sum(load)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_three_hundred_instruments(
    settings: Settings, simulators: Simulators, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The busiest of six full connections ends with at most 1.3 times the mean, and nothing is missed on the way."""
    monkeypatch.setattr(Okx, "instruments_per_connection", _SIZE)
    monkeypatch.setattr(subscription, "_START_TIMEOUT", 10**9)  # ns; most have nothing to send for seconds
    changes = {
        "feeds": ["okx"],
        "symbols": _SYMBOLS,
        "kinds": ["trades", "books", "quotes"],
        "channel_timeout_s": {"books": 600.0, "quotes": 600.0},
    }
    async with simulators:
        used = load_settings(**settings.model_dump() | changes | {"endpoints": simulators.endpoints})
        async with InProcessPipeline(used, simulators, Timings(balance_interval_s=10.0)) as pipeline:
            await pipeline.until(lambda: all(map(pipeline.is_live, _KEYS)), "every book is live", 60)
            first = {symbol: simulators.true_trades("okx", symbol).stop for symbol in _SYMBOLS}
            assert spread(await reported(used, lambda load: len(load) == _GROUPS and min(load) > 0)) > 1.6
            for _ in range(3):
                await reported(used, lambda load: spread(load) <= 1.3)
            await check_books(pipeline, {"okx": _SYMBOLS})
            await check_trades(pipeline, first)
    assert sum(pipeline.markers[key, "renewed"] for key in _KEYS) > 10
    assert not any(pipeline.markers[key, "disconnected"] for key in _KEYS)
    assert [event for topic, event in pipeline.events if topic in ("market.gaps", "dead_letters")] == []


async def check_trades(pipeline: InProcessPipeline, first: dict[str, int]) -> None:
    """Check that the trades are those of the exchange, each once, from the first ids of each symbol on."""
    pipeline.simulators.pause()

    def found(symbol: str) -> list[int]:
        trades = pipeline.events_of("market.trades", f"okx:{symbol}")
        return sorted(number for trade in trades if (number := int(trade["id"])) >= first[symbol])

    def is_complete(symbol: str) -> bool:
        return found(symbol) == list(range(first[symbol], pipeline.simulators.true_trades("okx", symbol).stop))

    for symbol in _SYMBOLS:
        await pipeline.until(lambda symbol=symbol: is_complete(symbol), f"{symbol} has every trade")  # type: ignore[misc]
