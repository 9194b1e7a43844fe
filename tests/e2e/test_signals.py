"""From simulated exchanges to signals in ClickHouse, with real processes: exactly the planted ones are found."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any

import pytest

from marketprism.simulator import (
    Arbitrage,
    Crossed,
    Disconnect,
    Gap,
    Heartbeat,
    Malformed,
    Planted,
    Reorder,
    Restart,
    Simulators,
    Stall,
)
from marketprism.simulator.market.listings import LISTINGS
from marketprism.simulator.plans import Fault
from schemas.feeds import FEEDS
from schemas.settings import Settings
from tests.e2e.pipeline import Pipeline
from tests.malformed_frames import MALFORMED_FRAMES, malformed

BELOW_FEES = [("BTC-USDT", "binance-spot", "okx", 12.0, 1.0), ("BTC-USDT-PERP", "okx", "binance-usdm", 4.0, 1.0)]
COMMON = ["BTC-USDT", "ETH-USDT", "BTC-USDT-PERP", "ETH-USDT-PERP"]  # on three exchanges each
INVERSE = ["BTC-USD-PERP", "ETH-USD-PERP"]  # on two
LOSS_INTERVAL = 12.0  # s between two losses of a feed's connections: reconnecting sooner again would be backed off

Plant = tuple[str, str, str, float, float]  # symbol, buying feed, selling feed, gross bps, seconds

_COMPARISONS = "SELECT sum(compared) AS compared, sum(differed) AS differed FROM quality WHERE check = 'book'"


@asynccontextmanager
async def running(settings: Settings, simulators: Simulators, logs: Path) -> AsyncIterator[Pipeline]:
    symbols = sorted({listing.symbol for listing in LISTINGS})
    run = Settings(**settings.model_dump() | {"endpoints": simulators.endpoints, "symbols": symbols})
    async with Pipeline(run, logs) as pipeline:
        await pipeline.sink()
        await pipeline.worker()
        await pipeline.ingest()
        await asyncio.sleep(4)
        yield pipeline


def rounds(simulators: Simulators, failing: list[str], random: Random) -> list[list[Plant]]:
    """Return forty arbitrages in seven rounds, with every ordered pair of feeds that share an instrument."""
    pairs = {
        symbol: cycle([(buy, sell) for each, buy, sell in simulators.arbitrage_pairs() if each == symbol])
        for symbol in COMMON + INVERSE
    }
    symbols = [COMMON + INVERSE] * 6 + [COMMON]
    return [[_plant(symbol, *next(pairs[symbol]), failing, random) for symbol in wanted] for wanted in symbols]


def _plant(symbol: str, buy: str, sell: str, failing: list[str], random: Random) -> Plant:
    # Between feeds that may be disconnected it must last longer to be seen at all.
    seconds = 4.5 if {buy, sell} & set(failing) else random.uniform(0.8, 2.0)
    fees = 30.0 if symbol in COMMON[:2] else 11.0
    return symbol, buy, sell, round(fees + random.uniform(3.0, 70.0), 1), seconds


@pytest.mark.long
@pytest.mark.e2e
@pytest.mark.timeout(300)
async def test_while_feeds_fail(settings: Settings, tmp_path: Path) -> None:
    """Two of six feeds fail: all forty signals are found, no others, and none is based on a book that was not live."""
    random = Random(20)
    failing = random.sample(list(FEEDS), 2)
    async with Simulators(seed=7) as simulators, running(settings, simulators, tmp_path / "logs") as pipeline:
        faults = asyncio.create_task(fail(simulators, failing, random))
        for plants in rounds(simulators, failing, Random(21)):
            await plant_all(simulators, plants)
        faults.cancel()
        with suppress(asyncio.CancelledError):
            await faults
        await asyncio.sleep(2)
        await pipeline.supervisor.retire("ingest")
        await pipeline.wait_until_stored()
        signals = await signals_of(pipeline)
        gaps = await pipeline.query(
            "SELECT exchange, symbol, type, id, toUnixTimestamp64Micro(local_timestamp) AS at FROM gaps "
            "WHERE channel = 'books' AND at < (SELECT max(toUnixTimestamp64Micro(local_timestamp)) FROM trades) "
            "ORDER BY at, _offset"
        )
        quality = await pipeline.query(
            "SELECT sum(compared) AS compared, sum(differed) AS differed FROM quality WHERE check = 'book'"
        )
    planted = [each for each in simulators.planted if isinstance(each.plan, Arbitrage)]
    assert len(planted) == 40
    assert len(simulators.planted) - len(planted) > 15
    _check(planted, signals)
    _check_live(signals, gaps)
    assert int(quality[0]["differed"]) == 0 < int(quality[0]["compared"])


async def fail(simulators: Simulators, feeds: list[str], random: Random) -> None:
    """Cause one fault after the other on any of these feeds, until cancelled."""
    loop = asyncio.get_running_loop()
    lost_at = dict.fromkeys(feeds, 0.0)
    symbols = {feed: [each.symbol for each in LISTINGS if each.feed == feed] for feed in feeds}
    while True:
        await asyncio.sleep(random.uniform(0.7, 1.7))
        feed = random.choice(feeds)
        symbol = random.choice(symbols[feed])
        plans: list[Fault] = [
            Gap(feed=feed, symbol=symbol, count=random.randint(1, 5)),
            Reorder(feed=feed, symbol=symbol),
            Crossed(feed=feed, symbol=symbol),
            Restart(feed=feed, symbol=symbol, hard=True),
            Malformed(feed=feed, symbol=symbol, form="truncated"),
            Stall(feed=feed, symbol=symbol, seconds=random.uniform(0.2, 1.0)),
        ]
        if loop.time() > lost_at[feed] + LOSS_INTERVAL:
            plans = [Disconnect(feed=feed), Disconnect(feed=feed, close_frame=False), Heartbeat(feed=feed)]
            lost_at[feed] = loop.time()
        await simulators.plant(random.choice(plans))


@pytest.mark.long
@pytest.mark.e2e
async def test_malformed_frames(settings: Settings, tmp_path: Path) -> None:
    """One arbitrage of each instrument is found; two below the fees are not; malformed frames change nothing."""
    async with Simulators(seed=7) as simulators, running(settings, simulators, tmp_path / "logs") as pipeline:
        reported = asyncio.get_running_loop().time() + 12  # the quality check reports every 10 s of stream time
        await plant_all(simulators, rounds(simulators, [], Random(5))[0])
        expected = list(simulators.planted)
        for form in MALFORMED_FRAMES:
            await simulators.plant(malformed(form))
        await plant_all(simulators, BELOW_FEES)
        await asyncio.gather(*(planted.over() for planted in simulators.planted))
        await asyncio.sleep(max(1.0, reported - asyncio.get_running_loop().time()))
        await pipeline.supervisor.retire("ingest")
        await pipeline.wait_until_stored()
        signals = await signals_of(pipeline)
        letters = await pipeline.query("SELECT reason FROM dead_letters")
        gaps = await pipeline.query("SELECT symbol, cause FROM gaps")
        quality = await pipeline.query(
            "SELECT sum(compared) AS compared, sum(differed) AS differed FROM quality WHERE check = 'book'"
        )
    _check(expected, signals)
    assert len(letters) == len(MALFORMED_FRAMES), letters
    assert gaps == []
    assert int(quality[0]["compared"]) > 100
    assert int(quality[0]["differed"]) == 0


async def plant_all(simulators: Simulators, plants: list[Plant]) -> None:
    """Plant arbitrages at the same time, and wait until all are over and have been closed."""
    planted = [
        await simulators.plant(Arbitrage(symbol=symbol, buy=buy, sell=sell, bps=bps, seconds=seconds))
        for symbol, buy, sell, bps, seconds in plants
    ]
    await asyncio.gather(*(each.over() for each in planted))
    await asyncio.sleep(1.0)


async def signals_of(pipeline: Pipeline) -> list[dict[str, Any]]:
    return await pipeline.query(
        "SELECT id, symbol, type, reason, buy_exchange, sell_exchange, buy_book, sell_book, "
        "toString(profit) AS profit, toUnixTimestamp64Micro(local_timestamp) AS at, "
        "toUnixTimestamp64Micro(buy_local_timestamp) AS buy_at, "
        "toUnixTimestamp64Micro(sell_local_timestamp) AS sell_at "
        "FROM signals ORDER BY _partition, _offset"
    )


def _check(planted: list[Planted], signals: list[dict[str, Any]]) -> None:
    found: dict[int, list[dict[str, Any]]] = {plant.id: [] for plant in planted}
    # The opening tells whose a signal is: on a busy machine the frame that closes it may be received late.
    openings = {signal["id"]: signal for signal in signals if signal["type"] == "opened"}
    for signal in signals:
        assert {signal["buy_book"], signal["sell_book"]} == {"live"} or signal["reason"] == "book_not_live"
        opening = openings[signal["id"]]
        owners = [plant for plant in planted if _belongs(opening, plant)]
        assert owners or any(_follows(opening, plant) for plant in planted), f"nothing was planted for {signal}"
        for owner in owners[:1]:
            found[owner.id].append(signal)
    for plant in planted:
        events = found[plant.id]
        assert events, f"not found: {plant}"
        assert events[0]["type"] == "opened"
        assert events[-1]["type"] == "closed"
        plan = _plan(plant)
        tick = max(each.tick for each in LISTINGS if each.symbol == plan.symbol and each.feed in (plan.buy, plan.sell))
        profit = Decimal(plant.result["profit"])
        highest = max(Decimal(event["profit"]) for event in events)
        assert abs(highest - profit) <= tick * Decimal(plant.result["amount"]), (
            f"{plan} planted a profit of {profit}, found {[event['profit'] for event in events]}"
        )


def _check_live(signals: list[dict[str, Any]], gaps: list[dict[str, Any]]) -> None:
    """Check that no signal is based on a quote from within a gap."""
    opened = {gap["id"]: gap for gap in gaps if gap["type"] == "opened"}
    closed = {gap["id"]: int(gap["at"]) for gap in gaps if gap["type"] == "closed"}
    assert set(opened) == set(closed)
    assert len(opened) > 10
    for signal in signals:
        for side in ("buy", "sell"):
            for number, gap in opened.items():
                if (gap["exchange"], gap["symbol"]) == (signal[f"{side}_exchange"], signal["symbol"]):
                    within = int(gap["at"]) < int(signal[f"{side}_at"]) < closed[number]
                    assert not within or signal["reason"] == "book_not_live", f"{signal} within {gap}"


def _plan(planted: Planted) -> Arbitrage:
    assert isinstance(planted.plan, Arbitrage)
    return planted.plan


def _during(signal: dict[str, Any], planted: Planted) -> bool:
    at = int(signal["at"]) * 1000
    return (
        signal["symbol"] == _plan(planted).symbol
        and planted.started_at - 1_000_000 < at < planted.ended_at + 700_000_000
    )


def _belongs(signal: dict[str, Any], planted: Planted) -> bool:
    plan = _plan(planted)
    sides = signal["buy_exchange"], signal["sell_exchange"]
    return _during(signal, planted) and sides == (FEEDS[plan.buy].exchange, FEEDS[plan.sell].exchange)


def _follows(signal: dict[str, Any], planted: Planted) -> bool:
    """Whether the signal is between the moved book and a third exchange, from which it differs too."""
    plan, moved = _plan(planted), planted.result["moved"]
    side = "buy_exchange" if moved == plan.buy else "sell_exchange"
    return _during(signal, planted) and signal[side] == FEEDS[moved].exchange
