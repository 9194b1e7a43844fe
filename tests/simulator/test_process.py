"""The simulators as a process: one line of JSON, commands over HTTP, a clean end on either signal."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson

from marketprism.simulator import Simulators
from marketprism.simulator.http_control import Control


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


async def test_commands_and_clean_end() -> None:
    """Plant and read back, read a book, be told of mistakes; with a client connected SIGINT ends it with 0."""
    async with process("--feed", "okx", "--feed", "binance-spot", "--seed", "5") as (running, where):
        assert set(where["endpoints"]) == {"okx", "binance-spot"}
        control = where["control"] + "/_control/"
        async with aiohttp.ClientSession() as http, http.ws_connect(where["endpoints"]["okx"]["ws"] + "/ws/v5/public"):
            plan = {"kind": "arbitrage", "symbol": "BTC-USDT", "buy": "okx", "sell": "binance-spot"}
            async with http.post(control + "plant", json=plan | {"bps": 40, "seconds": 0.2}) as answer:
                planted = await answer.json()
            assert (answer.status, planted["plan"]["buy_fee_bps"]) == (200, 10.0)
            for wrong in ({"kind": "nonsense"}, {"kind": "gap", "feed": "okx", "symbol": "DOGE-USDT"}):
                async with http.post(control + "plant", json=wrong) as answer:
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


PLANS: list[dict[str, object]] = [
    {"kind": "crossed"},
    {"kind": "restart", "hard": True},
    {"kind": "silent", "channel": "trades", "until": "reconnect"},
    {"kind": "refuse", "channel": "quotes", "count": 2},
    {"kind": "heartbeat"},
    {"kind": "mute"},
]
FEED_PLANS: list[dict[str, object]] = [
    {"kind": "rate_limit", "status": 418, "seconds": 2},
    {"kind": "rate_limit", "where": "ws"},
    {"kind": "wrong_clock", "offset_ms": 3000, "seconds": 1},
    {"kind": "maintenance", "seconds": 0.1},
]


async def test_every_fault_over_http() -> None:
    """Each plan is taken as JSON, for an instrument or a feed; the rate changes; the trades so far are told."""
    async with Simulators(["okx"]) as sims, aiohttp.ClientSession() as http:
        control = Control(sims)
        where = f"http://127.0.0.1:{await control.start()}/_control/"
        for plan in [plan | {"symbol": "BTC-USDT"} for plan in PLANS] + FEED_PLANS:
            async with http.post(where + "plant", json=plan | {"feed": "okx"}) as answer:
                assert (answer.status, (await answer.json())["plan"]["kind"]) == (200, plan["kind"])
        for rate, status in (("50", 204), ("0.01", 400), ("fast", 400)):
            async with http.post(where + "rate", data=rate) as answer:
                assert answer.status == status
        assert sims.rate == 50
        await asyncio.sleep(0.1)
        async with http.get(where + "trades", params={"feed": "okx", "symbol": "BTC-USDT"}) as answer:
            ids = await answer.json()
            assert ids["first"] == sims.true_trades("okx", "BTC-USDT").start
            assert ids["last"] > ids["first"]
        async with http.get(where + "trades", params={"feed": "okx"}) as answer:
            assert answer.status == 400
        await control.stop()


async def test_random_arbitrages() -> None:
    """`--arbitrage-every` plants them by itself; SIGTERM ends it with 0."""
    async with process("--arbitrage-every", "0.2") as (running, where), aiohttp.ClientSession() as http:
        planted = 0
        while planted < 2:
            await asyncio.sleep(0.1)
            async with http.get(where["control"] + "/_control/planted") as answer:
                planted = len(await answer.json())
        running.send_signal(signal.SIGTERM)
        assert await running.wait() == 0


async def test_an_unknown_feed_is_told() -> None:
    """The names that there are, and exit code 1."""
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "marketprism.simulator", "--feed", "mtgox", stderr=asyncio.subprocess.PIPE
    )
    _, errors = await started.communicate()
    assert started.returncode == 1
    assert b"binance-spot" in errors
