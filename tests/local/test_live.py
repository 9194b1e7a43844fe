"""The first seconds of `marketprism live`, with simulators for two exchanges and nothing in place of a third."""

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from marketprism.simulator import Simulators

COMMAND = (sys.executable, "-m", "marketprism", "live", "--data", "data")
REFUSED = {"ws": "ws://127.0.0.1:9", "rest": "http://127.0.0.1:9"}
FEEDS = ["okx", "binance-spot"]
WITHIN = 120.0  # s, on a busy machine


class Run:
    """A run without a terminal, and what it has printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def until(self, pattern: str) -> None:
        """Read until a line matches."""
        assert self.process.stdout
        async with asyncio.timeout(WITHIN):
            while line := (await self.process.stdout.readline()).decode():
                self.lines.append(line.rstrip())
                if re.match(pattern, line):
                    return
        raise AssertionError("\n".join(["ended without it", *self.lines]))

    async def stop(self, number: signal.Signals) -> tuple[int, float]:
        """Stop it. Return its exit status, and the seconds that it took."""
        asked = time.monotonic()
        self.process.send_signal(number)
        assert self.process.stdout
        async with asyncio.timeout(WITHIN):
            self.lines += (await self.process.stdout.read()).decode().splitlines()
            return await self.process.wait(), time.monotonic() - asked


@asynccontextmanager
async def live(place: Path, endpoints: Mapping[str, object]) -> AsyncIterator[Run]:
    environment = {
        **os.environ,
        "MARKETPRISM_FEEDS": ",".join(endpoints),
        "MARKETPRISM_SYMBOLS": "BTC-USDT",
        "MARKETPRISM_ENDPOINTS": orjson.dumps(endpoints).decode(),
        "TMPDIR": str(place),
        "PYTHONUNBUFFERED": "1",
    }
    process = await asyncio.create_subprocess_exec(
        *COMMAND, env=environment, cwd=place, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        yield Run(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.e2e
async def test_feeds_that_can_be_reached_and_one_that_cannot(tmp_path: Path) -> None:
    """It says which while the broker starts, goes on with those that can, and keeps saying why the other is missing."""
    async with Simulators(FEEDS) as simulators, live(tmp_path, {**simulators.endpoints, "htx-spot": REFUSED}) as run:
        await run.until("MarketPrism live: okx, binance-spot, htx-spot")
        await run.until("2 of 3 feeds can be reached")
        assert not any(line.startswith("Starting ClickHouse") for line in run.lines)
        said = dict(line.split(None, 1) for line in run.lines if "reached: " in line)
        assert said["okx"].startswith(f"can be reached: {simulators.endpoints['okx']['ws']} (")
        assert said["htx-spot"] == "cannot be reached: Connection refused: ws://127.0.0.1:9 and 1 other"
        await run.until(r"feeds 2/3 .* htx-spot down \(Connection refused\)")
        await run.until(r"feeds 2/3 .* books live 2 ")
        code, seconds = await run.stop(signal.SIGINT)
    text = "\n".join(run.lines)
    assert code == 0, text
    assert seconds < 15
    for feed in FEEDS:
        assert re.search(rf"received .* {feed} [1-9]", text), text


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("reached", "number"),
    [
        ("MarketPrism live: ", signal.SIGINT),
        ("Starting the broker: ", signal.SIGTERM),
        pytest.param("feeds 0/1 .* waiting for the first frame", signal.SIGINT, marks=pytest.mark.long),
    ],
)
async def test_it_can_be_stopped_at_each_stage(tmp_path: Path, reached: str, number: signal.Signals) -> None:
    """Also when it waits for exchanges: it is not stopped because none answers."""
    async with live(tmp_path, {"okx": REFUSED}) as run:
        await run.until(reached)
        code, seconds = await run.stop(number)
    assert (code, run.lines[0]) == (0, "MarketPrism live: okx. Ctrl-C stops it."), "\n".join(run.lines)
    assert seconds < 15
    assert any(line.startswith(("Stopped while starting", "Ran for ")) for line in run.lines)
