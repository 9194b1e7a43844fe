"""The simulators as a process: one line of JSON, control over HTTP, a clean exit on SIGINT and SIGTERM."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson


@asynccontextmanager
async def process(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, Any]]]:
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "marketprism.simulator",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert started.stdout is not None
    try:
        async with asyncio.timeout(20):
            yield started, orjson.loads(await started.stdout.readline())
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()


async def test_control_and_clean_exit() -> None:
    """Plans can be planted and read back, books read, invalid plans rejected; SIGINT exits with 0 despite a client."""
    async with process("--feed", "okx", "--feed", "binance-spot", "--seed", "5") as (running, addresses):
        assert set(addresses["endpoints"]) == {"okx", "binance-spot"}
        control, okx = addresses["control"] + "/_control/", addresses["endpoints"]["okx"]
        async with aiohttp.ClientSession() as http, http.ws_connect(okx["ws"] + "/ws/v5/public"):
            plan = {"kind": "arbitrage", "symbol": "BTC-USDT", "buy": "okx", "sell": "binance-spot"}
            async with http.post(control + "plant", json=plan | {"bps": 40, "seconds": 0.2}) as answer:
                planted = await answer.json()
            assert (answer.status, planted["plan"]["buy_fee_bps"]) == (200, 10.0)
            for invalid in ({"kind": "nonsense"}, {"kind": "gap", "feed": "okx", "symbol": "DOGE-USDT"}):
                async with http.post(control + "plant", json=invalid) as answer:
                    assert answer.status == 400
                    assert (await answer.json())["error"]
            await asyncio.sleep(1.1)
            async with http.get(f"{control}planted/{planted['id']}") as answer:
                entry = await answer.json()
                assert entry["ended_at"] > entry["started_at"] > entry["planted_at"] > 0
            async with http.get(control + "planted") as answer:
                assert len(await answer.json()) == 1
            await http.post(control + "pause")
            async with http.get(control + "book", params={"feed": "okx", "symbol": "BTC-USDT"}) as answer:
                assert len((await answer.json())["bids"]) == 50
            running.send_signal(signal.SIGINT)
            assert await running.wait() == 0
        assert running.stderr is not None
        assert b"Traceback" not in await running.stderr.read()


async def test_random_arbitrages() -> None:
    """`--arbitrage-every` plants random arbitrages; SIGTERM exits with 0."""
    async with process("--arbitrage-every", "0.2") as (running, addresses), aiohttp.ClientSession() as http:
        planted = 0
        while planted < 2:
            await asyncio.sleep(0.1)
            async with http.get(addresses["control"] + "/_control/planted") as answer:
                planted = len(await answer.json())
        running.send_signal(signal.SIGTERM)
        assert await running.wait() == 0


async def test_unknown_feed_is_reported() -> None:
    """The error names the known feeds, and the exit code is 1."""
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "marketprism.simulator", "--feed", "mtgox", stderr=asyncio.subprocess.PIPE
    )
    _, errors = await started.communicate()
    assert started.returncode == 1
    assert b"binance-spot" in errors
