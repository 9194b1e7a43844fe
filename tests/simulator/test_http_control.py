"""Control of the simulators over HTTP."""

import asyncio

import aiohttp

from marketprism.simulator import Simulators
from marketprism.simulator.http_control import Control

PLANS: list[dict[str, object]] = [
    {"kind": "crossed"},
    {"kind": "restart", "hard": True},
    {"kind": "silent", "channel": "trades", "until": "reconnect"},
    {"kind": "refuse", "channel": "quotes", "count": 2},
    {"kind": "heartbeat"},
    {"kind": "mute"},
    {"kind": "change", "channel": "trades", "field": "px", "name": "price", "seconds": 1},
]


FEED_PLANS: list[dict[str, object]] = [
    {"kind": "rate_limit", "status": 418, "seconds": 2},
    {"kind": "rate_limit", "where": "ws"},
    {"kind": "wrong_clock", "offset_ms": 3000, "seconds": 1},
    {"kind": "maintenance", "seconds": 0.1},
    {"kind": "move", "path": "/ws/v5/business", "seconds": 1},
]


async def test_every_fault_over_http() -> None:
    """Every plan is accepted as JSON, for an instrument or a feed; the rate can be set and trade ids read."""
    async with Simulators(["okx"]) as sims, aiohttp.ClientSession() as http:
        control = Control(sims)
        address = f"http://127.0.0.1:{await control.start()}/_control/"
        for plan in [plan | {"symbol": "BTC-USDT"} for plan in PLANS] + FEED_PLANS:
            async with http.post(address + "plant", json=plan | {"feed": "okx"}) as answer:
                assert (answer.status, (await answer.json())["plan"]["kind"]) == (200, plan["kind"])
        for rate, status in (("50", 204), ("0.01", 400), ("fast", 400)):
            async with http.post(address + "rate", data=rate) as answer:
                assert answer.status == status
        assert sims.rate == 50
        await asyncio.sleep(0.1)
        async with http.get(address + "trades", params={"feed": "okx", "symbol": "BTC-USDT"}) as answer:
            ids = await answer.json()
            assert ids["first"] == sims.true_trades("okx", "BTC-USDT").start
            assert ids["last"] > ids["first"]
        async with http.get(address + "trades", params={"feed": "okx"}) as answer:
            assert answer.status == 400
        await control.stop()
