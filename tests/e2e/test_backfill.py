"""The past of simulated exchanges is filled in by the real command, broker, worker and sink, and each row once."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from marketprism.backfill.run import Wanted, run
from marketprism.simulator import Limits, Simulators
from schemas.feeds import FEEDS
from schemas.settings import Settings
from tests.e2e.pipeline import Pipeline
from tests.e2e.test_crashes import expected_sources

MINUTE = 60_000_000  # µs
SYMBOLS = {
    "binance-spot": "BTC-USDT",
    "okx": "BTC-USDT-PERP",
    "htx-spot": "BTC-USDT",
    "htx-linear": "BTC-USDT-PERP",
    "deribit": "BTC-USD-PERP",
}


@asynccontextmanager
async def running(
    settings: Settings, tmp_path: Path, limits: Limits | None = None
) -> AsyncIterator[tuple[Pipeline, Simulators]]:
    """Run simulated exchanges, a worker and a sink."""
    async with Simulators(tuple(SYMBOLS), limits=limits) as simulators:
        own = Settings(**settings.model_dump() | {"endpoints": simulators.endpoints})
        async with Pipeline(own, tmp_path / "logs") as pipeline:
            await pipeline.sink()
            await pipeline.worker()
            yield pipeline, simulators


async def start(settings: Settings, feed: str, *arguments: str) -> asyncio.subprocess.Process:
    """Start the command."""
    command = ["-m", "marketprism", "backfill", "--feed", feed, "--symbol", SYMBOLS[feed], "--share", "1"]
    environment = os.environ | settings.environment()
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        *arguments,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def fill(settings: Settings, feed: str, *arguments: str) -> str:
    """Run the command to its end, and return what it says."""
    child = await start(settings, feed, *arguments)
    said, _ = await child.communicate()
    assert child.returncode == 0, said.decode()
    return said.decode()


async def fill_here(settings: Settings, feed: str, kinds: list[str], begin: int, end: int) -> dict[str, int]:
    """Do the same in this process, which starts faster. Return the number of requests by kind."""
    wanted = Wanted(feed, [SYMBOLS[feed]], kinds, "1m", begin, end)
    summaries = await run(settings, wanted, 1.0, "", lambda *_: None, lambda text: None)
    return {kind: summary.requests for kind, summary in zip(kinds, summaries, strict=True)}


async def counts(pipeline: Pipeline, feed: str, table: str, name: str, where: str = "1") -> tuple[int, int]:
    """Return the number of rows and of different ones."""
    exchange, symbol = FEEDS[feed].exchange, SYMBOLS[feed]
    [row] = await pipeline.query(
        f"SELECT count() AS n, uniqExact({name}) AS u FROM {table} WHERE exchange = '{exchange}' AND "
        f"symbol = '{symbol}' AND {where}"
    )
    return int(row["n"]), int(row["u"])


@pytest.mark.e2e
@pytest.mark.timeout(300)
async def test_candles_and_trades(settings: Settings, tmp_path: Path) -> None:
    """Each exchange's candles of a range are complete, and so are its trades, which are those of the candles."""
    end = time.time_ns() // 1000 // MINUTE * MINUTE - 5 * MINUTE
    begin = end - 30 * MINUTE
    kinds = ["candles", "trades"]
    async with running(settings, tmp_path) as (pipeline, simulators):
        for feed in SYMBOLS:
            await fill_here(pipeline.settings, feed, kinds, begin, end)
            assert await counts(pipeline, feed, "candles", "start", "closed") == (30, 30), feed
            rows, unique = await counts(pipeline, feed, "trades", "id")
            tape = simulators.instrument(feed, SYMBOLS[feed]).tape
            expected = tape.first_at(end // 1000) - tape.first_at(begin // 1000)
            assert rows == unique, feed
            assert rows == expected or (feed.startswith("htx") and 0 < rows < 2000), feed  # which has only the latest
            again = await fill_here(pipeline.settings, feed, kinds, begin, end)
            assert not again["candles"], feed
            assert not again["trades"] or feed.startswith("htx"), feed
            assert (await counts(pipeline, feed, "trades", "id"))[0] == rows
        assert await pipeline.query("SELECT * FROM dead_letters") == []


@pytest.mark.long
@pytest.mark.e2e
@pytest.mark.timeout(300)
async def test_beside_ingest(settings: Settings, tmp_path: Path) -> None:
    """What is ingested meanwhile is not filled in again, whatever was missing before is, and no request is rejected."""
    feeds = ("binance-spot", "okx", "deribit")
    wanted = {"feeds": feeds, "kinds": ("trades", "candles"), "channels": ("candles_1m",)}
    made = settings.model_dump() | wanted | {"symbols": tuple({SYMBOLS[feed] for feed in feeds})}
    async with running(Settings(**made), tmp_path) as (pipeline, simulators):
        await pipeline.ingest()
        await asyncio.sleep(8)
        end = time.time_ns() // 1000 - 5_000_000
        begin = end - 10 * MINUTE
        for feed in feeds:
            live, _ = await counts(pipeline, feed, "trades", "id")
            assert live > 0
            filled = Wanted(feed, [SYMBOLS[feed]], ["trades", "candles"], "1m", begin, end)
            with capture_logs() as logs:
                await run(pipeline.settings, filled, 0.25, "", lambda *_: None, lambda text: None, margin=5_000_000)
            assert not [line for line in logs if line["event"].startswith("rate limit")]
            tape = simulators.instrument(feed, SYMBOLS[feed]).tape
            expected = tape.first_at(end // 1000) - tape.first_at(begin // 1000)
            span = f"timestamp >= fromUnixTimestamp64Micro({begin}) AND timestamp < fromUnixTimestamp64Micro({end})"
            rows, unique = await counts(pipeline, feed, "trades", "id", span)
            assert rows == unique, feed
            assert abs(rows - expected) <= 2, feed  # at the very ends times differ by a ms
            own = "origin = 'exchange' AND interval = '1m' AND closed AND complete"
            rows, unique = await counts(pipeline, feed, "candles", "start", own)
            assert rows == unique >= 9, feed
        assert "rate limit" not in (tmp_path / "logs" / "ingest.log").read_text()
        assert await pipeline.query("SELECT * FROM dead_letters") == []
        assert await pipeline.query("SELECT * FROM gaps WHERE channel = 'trades'") == []


@pytest.mark.e2e
@pytest.mark.timeout(300)
async def test_killed(settings: Settings, tmp_path: Path) -> None:
    """A run that is interrupted or killed is continued, and in the end nothing is missing or twice."""
    end = time.time_ns() // 1000 // MINUTE * MINUTE - 5 * MINUTE
    begin = end - 6 * 60 * MINUTE
    arguments = ["--kind", "trades", "--from", str(begin), "--to", str(end)]
    async with running(settings, tmp_path) as (pipeline, simulators):
        tape = simulators.instrument("binance-spot", "BTC-USDT").tape
        expected = tape.first_at(end // 1000) - tape.first_at(begin // 1000)
        before = 0
        for number in (signal.SIGINT, signal.SIGKILL, signal.SIGKILL):
            child = await start(pipeline.settings, "binance-spot", *arguments)
            while (now := (await counts(pipeline, "binance-spot", "trades", "id"))[0]) <= before:
                assert child.returncode is None
                await asyncio.sleep(0.05)
            before = now
            child.send_signal(number)
            said, _ = await child.communicate()
            assert (b"run the same command again to continue" in said) == (number is signal.SIGINT)
            assert before < expected
        last = await fill(pipeline.settings, "binance-spot", *arguments)
        assert await counts(pipeline, "binance-spot", "trades", "id") == (expected, expected), last
        sources = (await expected_sources(pipeline.settings))["trades"]  # of a replay of the raw topic
        rows = await pipeline.query("SELECT source FROM trades")
        assert sorted(row["source"] for row in rows) == sources
