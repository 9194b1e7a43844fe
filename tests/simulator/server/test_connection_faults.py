"""Connections that are closed, rejected, or left open and dead, as a plain client sees them."""

import asyncio
import time
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from marketprism.simulator import Disconnect, Heartbeat, Maintenance, Mute, Shutdown, Simulators
from tests.simulator.clients import (
    PATHS,
    channel_of,
    closed,
    command,
    each_feed,
    following,
    listen,
    opened,
    receive,
    rpc,
    subscribe,
    until,
)


@pytest.mark.parametrize("close_frame", [True, False])
async def test_disconnect(close_frame: bool) -> None:
    """The code arrives if there is a close frame; connections without the symbol stay open."""
    async with Simulators(["okx"]) as sims, following(sims, "okx", "BTC-USDT") as other, opened(sims, "okx") as socket:
        await subscribe(socket, "okx", "BTC-USDT-PERP", "books")
        planted = await sims.plant(Disconnect(feed="okx", symbol="BTC-USDT-PERP", close_frame=close_frame, code=4006))
        assert (await closed(socket)).rcvd_code == (4006 if close_frame else None)
        assert planted.result == {"connections": 1}
        seen = other.book.sequence
        await until(lambda: other.book.sequence > seen)


@each_feed
async def test_heartbeat(feed: str, symbol: str) -> None:
    """Connections subscribed to the symbol are closed as if they had not answered; the others stay open."""
    ends = {"okx": (4004, "No data received in 30s."), "deribit": (4000, "heartbeat close")}
    code, reason = ends.get(feed, (1008, "Pong timeout"))
    async with Simulators([feed]) as sims, opened(sims, feed) as socket, opened(sims, feed) as other:
        await subscribe(socket, feed, symbol, "books")
        planted = await sims.plant(Heartbeat(feed=feed, symbol=symbol))
        assert (await closed(socket)).rcvd_code == code
        assert socket.close_reason == reason
        assert (await planted.over()).result == {"connections": 1}
        await subscribe(other, feed, symbol, "books")
        await sims.plant(Heartbeat(feed=feed))
        assert (await closed(other)).rcvd_code == code


@each_feed
async def test_mute(feed: str, symbol: str) -> None:
    """The socket stays open without data, pong, answer or close frame; new ones work; closing it ends the fault."""
    async with Simulators([feed]) as sims:
        async with connect(sims.endpoints[feed]["ws"] + PATHS[feed], close_timeout=0.1) as dead:
            await subscribe(dead, feed, symbol, "books")
            await receive(dead)
            planted = await sims.plant(Mute(feed=feed))
            await listen(dead, 0.05)  # frames that were already sent
            await sims.plant(Heartbeat(feed=feed))  # a dead connection is not even closed
            pong = asyncio.ensure_future(await dead.ping())
            await dead.send("ping" if feed == "okx" else '{"method":"LIST_SUBSCRIPTIONS","id":1}')
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await dead.recv()
            assert not pong.done()
            async with opened(sims, feed) as fresh:
                await subscribe(fresh, feed, symbol, "books")
                assert await receive(fresh, lambda frame: channel_of(frame) == "books")
            assert not planted.ended_at
        assert dead.protocol.close_sent is not None
        assert dead.protocol.close_rcvd is None
        assert (await planted.over()).result == {"connections": 1}


async def test_stop_drops_muted_connections() -> None:
    """A muted connection does not delay the end of the simulator."""
    async with Simulators(["binance-spot"]) as sims:
        socket = await connect(sims.endpoints["binance-spot"]["ws"] + "/stream")
        await sims.plant(Mute(feed="binance-spot"))
        started = time.monotonic()
    assert time.monotonic() - started < 2
    assert (await closed(socket)).rcvd_code is None


@each_feed
async def test_maintenance(feed: str, symbol: str) -> None:
    """It is announced, connections are closed, and new ones are rejected until it is over."""
    async with Simulators([feed]) as sims:
        async with opened(sims, feed) as socket:
            if feed == "deribit":
                await command(socket, rpc("subscribe", channels=["platform_state"]))
            planted = await sims.plant(Maintenance(feed=feed, seconds=0.4))
            assert _notice(await receive(socket)) in ("64008", "!serverShutdown", {"maintenance": True})
            assert (await closed(socket)).rcvd_code == 1001
        with pytest.raises(InvalidStatus) as rejection:
            async with opened(sims, feed):
                pass
        assert rejection.value.response.status_code == 503
        await planted.over()
        assert planted.result == {"connections": 1, "refused": 1}
        async with following(sims, feed, symbol) as client:
            assert client.book.gaps == 0


def _notice(frame: Any) -> Any:
    return frame["params"]["data"] if "params" in frame else frame.get("code") or frame["stream"]


async def test_shutdown_of_one_connection() -> None:
    """Only the connection subscribed to the symbol is notified and closed."""
    async with Simulators(["okx"]) as sims, opened(sims, "okx") as socket, opened(sims, "okx") as other:
        await subscribe(socket, "okx", "BTC-USDT", "trades")
        await subscribe(other, "okx", "BTC-USDT-PERP", "trades")
        await sims.plant(Shutdown(feed="okx", symbol="BTC-USDT", seconds=0.1))
        assert (await receive(socket, lambda body: body.get("event") == "notice"))["code"] == "64008"
        assert (await closed(socket)).rcvd_code == 1001
        assert (await subscribe(other, "okx", "BTC-USDT-PERP", "bbo"))["event"] == "subscribe"
