"""Ingest is killed: the workers report a gap of every instrument within seconds, and its successor closes it."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from marketprism.local.processes import Child
from marketprism.local.roles import INGEST
from marketprism.simulator import Simulators
from marketprism.simulator.market.listings import LISTINGS
from schemas.feeds import FEEDS
from schemas.settings import Settings, load_settings
from tests.e2e.pipeline import Pipeline, kill

_KEYS = {(FEEDS[each.feed].exchange, each.symbol) for each in LISTINGS}
_CONSECUTIVE = ("binance-spot", "binance-usdm", "deribit")  # feeds with consecutive trade ids


async def absent_gaps(pipeline: Pipeline, kind: str) -> set[tuple[str, ...]]:
    """Return exchange, symbol and channel of the gap events with cause `absent` and the given type."""
    rows = await pipeline.query(
        f"SELECT exchange, symbol, channel FROM gaps WHERE cause = 'absent' AND type = '{kind}'"
    )
    return {(row["exchange"], row["symbol"], row["channel"]) for row in rows}


async def until_all(pipeline: Pipeline, kind: str, within: float) -> float:
    """Wait for a gap event of every instrument's books and trades. Return the seconds it took."""
    began, wanted = time.monotonic(), {(*key, channel) for key in _KEYS for channel in ("books", "trades")}
    while missing := wanted - await absent_gaps(pipeline, kind):
        assert time.monotonic() - began < within, f"not {kind} within {within:g} s: {sorted(missing)}"
        await asyncio.sleep(0.25)
    return time.monotonic() - began


def ingest(settings: Settings, logs: Path, number: int) -> Child:
    return INGEST.child(logs / f"ingest-{number}.log", settings.environment())


@pytest.mark.e2e
async def test_ingest_killed(settings: Settings, tmp_path: Path) -> None:
    """Every channel of every instrument has a gap, from its last frame on. Every missing trade is reported."""
    symbols = sorted({each.symbol for each in LISTINGS})
    async with Simulators(rate=1.0) as simulators:
        own = load_settings(**settings.model_dump() | {"endpoints": simulators.endpoints, "symbols": symbols})
        async with Pipeline(own, tmp_path / "logs") as pipeline:
            await pipeline.sink()
            await pipeline.worker()
            first = ingest(own, tmp_path / "logs", 1)
            await asyncio.to_thread(first.start)
            await asyncio.sleep(10)
            kill(first)
            assert await until_all(pipeline, "opened", 25) < 20
            second = ingest(own, tmp_path / "logs", 2)
            await asyncio.to_thread(second.start)
            await until_all(pipeline, "closed", 30)
            await asyncio.sleep(4)
            await asyncio.to_thread(second.stop)
            await pipeline.wait_until_stored()
            for feed in _CONSECUTIVE:
                await _check_trades(
                    pipeline, FEEDS[feed].exchange, [each.symbol for each in LISTINGS if each.feed == feed]
                )
            [late] = await pipeline.query(
                "SELECT max(toFloat64(local_timestamp) - toFloat64(since)) AS seconds FROM gaps "
                "WHERE cause = 'absent' AND type = 'opened' AND channel = 'books'"
            )
            assert late["seconds"] < 15


async def _check_trades(pipeline: Pipeline, exchange: str, symbols: list[str]) -> None:
    """Check that as many trades are missing between the first and the last as the gaps report, soon after the end."""
    for symbol in symbols:
        deadline = time.monotonic() + 20
        while True:
            missing, reported = await _missing_and_reported(pipeline, exchange, symbol)
            if missing == reported:
                break
            assert time.monotonic() < deadline, f"{exchange}:{symbol}: {missing} are missing, {reported} reported"
            await asyncio.sleep(1)


async def _missing_and_reported(pipeline: Pipeline, exchange: str, symbol: str) -> tuple[int, int]:
    about = f"exchange = '{exchange}' AND symbol = '{symbol}'"
    rows = await pipeline.query(f"SELECT id FROM trades WHERE {about}")
    found = {int(row["id"].rpartition("-")[2]) for row in rows}
    named: list[dict[str, Any]] = await pipeline.query(
        f"SELECT first_missing, last_missing FROM gaps WHERE {about} AND first_missing != '' AND type = 'opened'"
    )
    assert len(rows) == len(found)
    reported = sum(int(row["last_missing"]) - int(row["first_missing"]) + 1 for row in named)
    return max(found) - min(found) + 1 - len(found), reported
