"""Holes after an outage are listed, and filled from the exchanges' past as far as they offer it."""

import asyncio
import time
from pathlib import Path

import pytest

from marketprism.backfill.fill import fill
from marketprism.backfill.holes import Span
from marketprism.backfill.ledger import Entry, ledger
from marketprism.simulator import Maintenance, Simulators
from schemas.settings import Settings
from tests.e2e.pipeline import Pipeline

SECOND = 1_000_000  # µs
SYMBOLS = {"binance-spot": "BTC-USDT", "okx": "BTC-USDT", "htx-spot": "BTC-USDT"}


def ignore(*_: object) -> None:
    pass


async def missing(pipeline: Pipeline, span: Span) -> list[Entry]:
    return [entry for entry in await ledger(pipeline.settings, span) if entry.state == "missing"]


@pytest.mark.e2e
@pytest.mark.timeout(200)
async def test_an_outage(settings: Settings, tmp_path: Path) -> None:
    """Trades and candles are complete afterwards where the exchange has them; what is lost of books is stated."""
    began = time.time_ns() // 1000
    async with Simulators(tuple(SYMBOLS)) as simulators:
        own = Settings(
            **settings.model_dump()
            | {
                "endpoints": simulators.endpoints,
                "feeds": tuple(SYMBOLS),
                "symbols": tuple(set(SYMBOLS.values())),
                "kinds": ("trades", "books"),
                "channels": ("candles_1s",),
            }
        )
        async with Pipeline(own, tmp_path / "logs") as pipeline:
            await pipeline.sink()
            await pipeline.worker()
            await pipeline.ingest()
            await asyncio.sleep(8)
            for feed in SYMBOLS:
                await simulators.plant(Maintenance(feed=feed, seconds=12.0))
            holes = {*((feed, "trades") for feed in SYMBOLS), ("binance-spot", "candles"), ("okx", "candles")}
            while True:
                span = Span(began, time.time_ns() // 1000)
                found = await ledger(pipeline.settings, span)
                fillable = {(each.feed, each.what) for each in found if each.can_be_filled}
                lost = {each.feed for each in found if each.what == "books" and each.end}
                numbered = {each.feed for each in found if each.first_missing}
                if fillable >= holes and lost == set(SYMBOLS) == numbered | {"htx-spot"}:
                    break
                await asyncio.sleep(1)
            await asyncio.sleep(6)
            said: list[str] = []
            await fill(pipeline.settings, found, 1.0, ignore, said.append, margin=3 * SECOND)
            while any(each.feed != "htx-spot" for each in await missing(pipeline, span)):
                await asyncio.sleep(1)
            assert any(text.startswith("htx-spot BTC-USDT trades: some may still be missing") for text in said), said
            await _check_trades(pipeline, simulators)
            assert await pipeline.query("SELECT reason FROM dead_letters") == []


async def _check_trades(pipeline: Pipeline, simulators: Simulators) -> None:
    """All trades between the first and the last that is stored are those of the simulator, each once."""
    for feed in ("binance-spot", "okx"):
        rows = await pipeline.query(
            f"SELECT toInt64(id) AS id, side FROM trades WHERE exchange = '{feed.partition('-')[0]}' "
            f"AND symbol = '{SYMBOLS[feed]}' ORDER BY id"
        )
        tape = simulators.instrument(feed, SYMBOLS[feed]).tape
        true = tape.trades(tape.number_of(int(rows[0]["id"])), len(rows))
        assert [(int(row["id"]), row["side"]) for row in rows] == [(trade.id, trade.side) for trade in true]
