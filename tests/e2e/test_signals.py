"""Simulated exchanges to signals in ClickHouse, through real processes: what was planted is found, and nothing else."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from local.simulator import Arbitrage, Planted, Simulators
from schemas.feeds import FEEDS
from schemas.settings import Settings
from tests.e2e.pipeline import Pipeline
from tests.rubbish import RUBBISH, rubbish

# Symbol, buying feed, selling feed, gross bps, seconds. Fees take 20 bps on spot and 10 bps on perpetuals.
ROUNDS = [
    [
        ("BTC-USDT", "binance-spot", "okx", 30.0, 0.8),
        ("ETH-USDT", "okx", "binance-spot", 45.0, 1.2),
        ("BTC-USDT-PERP", "binance-usdm", "okx", 16.0, 0.9),
        ("ETH-USDT-PERP", "okx", "binance-usdm", 60.0, 1.6),
    ],
    [
        ("BTC-USDT", "okx", "binance-spot", 28.0, 1.5),
        ("ETH-USDT", "binance-spot", "okx", 80.0, 0.7),
        ("BTC-USDT-PERP", "okx", "binance-usdm", 22.0, 1.1),
        ("ETH-USDT-PERP", "binance-usdm", "okx", 14.0, 1.4),
    ],
    [
        ("BTC-USDT", "binance-spot", "okx", 120.0, 0.7),
        ("ETH-USDT", "okx", "binance-spot", 33.0, 1.0),
        ("BTC-USDT-PERP", "binance-usdm", "okx", 40.0, 0.8),
        ("ETH-USDT-PERP", "okx", "binance-usdm", 18.0, 1.3),
    ],
    [
        ("BTC-USDT", "okx", "binance-spot", 50.0, 1.0),
        ("ETH-USDT", "binance-spot", "okx", 36.0, 0.9),
        ("BTC-USDT-PERP", "okx", "binance-usdm", 100.0, 0.7),
        ("ETH-USDT-PERP", "binance-usdm", "okx", 25.0, 1.0),
    ],
    [
        ("BTC-USDT", "binance-spot", "okx", 31.0, 2.0),
        ("ETH-USDT", "okx", "binance-spot", 65.0, 0.8),
        ("BTC-USDT-PERP", "binance-usdm", "okx", 15.0, 1.2),
        ("ETH-USDT-PERP", "okx", "binance-usdm", 30.0, 0.9),
    ],
]
BELOW_FEES = [("BTC-USDT", "binance-spot", "okx", 12.0, 1.0), ("BTC-USDT-PERP", "okx", "binance-usdm", 4.0, 1.0)]
TICKS = {"BTC-USDT": "0.1", "ETH-USDT": "0.01", "BTC-USDT-PERP": "0.1", "ETH-USDT-PERP": "0.01"}


@pytest.mark.e2e
async def test_planted_arbitrages_are_found(settings: Settings, tmp_path: Path) -> None:
    """Twenty of varied size and length: right exchanges, sign and profit. Nothing else. And rubbish harms nothing."""
    async with Simulators(seed=7) as simulators:
        run = Settings(**settings.model_dump() | {"endpoints": simulators.endpoints})
        async with Pipeline(run, tmp_path / "logs") as pipeline:
            await pipeline.sink()
            await pipeline.worker()
            await pipeline.ingest()
            await asyncio.sleep(3)
            for plants in ROUNDS:
                await plant_all(simulators, plants)
                await asyncio.sleep(1.0)
            expected = list(simulators.planted)
            for form in RUBBISH:
                await simulators.plant(rubbish(form))
            await plant_all(simulators, BELOW_FEES)
            await asyncio.gather(*(planted.over() for planted in simulators.planted))
            await asyncio.sleep(1)
            await pipeline.supervisor.retire("ingest")
            await pipeline.stored()
            signals = await pipeline.ask(
                "SELECT id, symbol, type, reason, buy_exchange, sell_exchange, buy_book, sell_book, "
                "toString(profit) AS profit, toUnixTimestamp64Micro(local_timestamp) AS at "
                "FROM signals ORDER BY _partition, _offset"
            )
            letters = await pipeline.ask("SELECT reason FROM dead_letters")
            gaps = await pipeline.ask("SELECT symbol FROM gaps WHERE cause != 'disconnected'")
            quality = await pipeline.ask("SELECT sum(compared) AS compared, sum(differed) AS differed FROM quality")
    _check(expected, signals)
    assert len(letters) == len(RUBBISH), letters
    assert gaps == []
    assert int(quality[0]["compared"]) > 100
    assert int(quality[0]["differed"]) == 0


async def plant_all(simulators: Simulators, plants: list[tuple[str, str, str, float, float]]) -> None:
    """Plant arbitrages at once, and wait until all are over."""
    planted = [
        await simulators.plant(Arbitrage(symbol=symbol, buy=buy, sell=sell, bps=bps, seconds=seconds))
        for symbol, buy, sell, bps, seconds in plants
    ]
    await asyncio.gather(*(each.over() for each in planted))


def _check(planted: list[Planted], signals: list[dict[str, Any]]) -> None:
    found: dict[int, list[dict[str, Any]]] = {plant.id: [] for plant in planted}
    for signal in signals:
        assert {signal["buy_book"], signal["sell_book"]} == {"live"} or signal["reason"] == "book_not_live"
        owners = [plant for plant in planted if _belongs(signal, plant)]
        assert owners, f"nothing was planted for {signal}"
        found[owners[0].id].append(signal)
    for plant in planted:
        events = found[plant.id]
        assert events, f"not found: {plant}"
        assert events[0]["type"] == "opened"
        assert events[-1]["type"] == "closed"
        tolerance = Decimal(TICKS[_plan(plant).symbol]) * Decimal(plant.result["amount"])
        profit = Decimal(plant.result["profit"])
        most = max(Decimal(event["profit"]) for event in events)
        assert abs(most - profit) <= tolerance, (
            f"profit {profit} was planted, found {[event['profit'] for event in events]}"
        )


def _plan(planted: Planted) -> Arbitrage:
    assert isinstance(planted.plan, Arbitrage)
    return planted.plan


def _belongs(signal: dict[str, Any], planted: Planted) -> bool:
    plan, at = _plan(planted), int(signal["at"]) * 1000
    sides = signal["buy_exchange"], signal["sell_exchange"]
    return (
        signal["symbol"] == plan.symbol
        and sides == (FEEDS[plan.buy].exchange, FEEDS[plan.sell].exchange)
        and planted.started_at - 1_000_000 < at < planted.ended_at + 700_000_000
    )
