"""Supervision: an error in one part does not affect the others, and the part is restarted."""

import asyncio
from decimal import InvalidOperation
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from ingest.exchanges.binance import BinanceSpot
from ingest.supervision import supervise
from schemas.settings import Settings
from tests.ingest.reading import ingesting, is_flowing, kinds, read_lines, until

SPOT, OKX = "binance:BTC-USDT", "okx:BTC-USDT"


@pytest.mark.parametrize(
    "error", [AttributeError("x"), InvalidOperation(), RecursionError(), ExceptionGroup("", [KeyError(1)])]
)
async def test_a_failing_feed(here: Settings, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Whatever a feed's definitions raise, the other feed is not affected, and this one is restarted."""
    working = BinanceSpot.instruments
    errors = [error, error]

    async def instruments(self: BinanceSpot, *arguments: Any) -> Any:
        if errors:
            raise errors.pop()
        return await working(self, *arguments)

    monkeypatch.setattr(BinanceSpot, "instruments", instruments)
    with capture_logs() as logs:
        async with ingesting(here, "binance-spot", "okx"):
            await until(here, "okx", OKX, is_flowing)
            await until(here, "binance", SPOT, is_flowing)
    assert [entry["exc_info"] for entry in logs if entry.get("part") == "feed"] == [True, False]
    assert "disconnected" not in kinds((await read_lines(here, "okx"))[OKX])


async def test_cancellation() -> None:
    """A cancelled part is not restarted."""
    runs = 0

    async def run() -> None:
        nonlocal runs
        runs += 1
        await asyncio.sleep(3600)

    task = asyncio.create_task(supervise("x", run, structlog.get_logger()))
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.wait({task})
    assert (runs, task.cancelled()) == (1, True)
