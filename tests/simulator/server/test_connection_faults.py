"""Connections that are closed, refused, or left open and dead; REST that refuses: as a plain client sees them."""

import asyncio
import time
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from marketprism.simulator import Disconnect, Heartbeat, Maintenance, Mute, RateLimit, Shutdown, Simulators, Stall
from tests.simulator.clients import (
    FEEDS,
    PATHS,
    TIMES,
    Follower,
    channel_of,
    closed,
    command,
    each_feed,
    following,
    get,
    listen,
    opened,
    receive,
    rpc,
    subscription,
    until,
)


async def ask(socket: ClientConnection, feed: str, symbol: str, *channels: str) -> Any:
    return await command(socket, subscription(feed, symbol, *channels))


@pytest.mark.parametrize("close_frame", [True, False])
async def test_disconnect(close_frame: bool) -> None:
    """With a close frame its code arrives, without one the connection just ends; other symbols' clients stay."""
    async with Simulators(["okx"]) as sims, following(sims, "okx", "BTC-USDT") as other, opened(sims, "okx") as socket:
        await ask(socket, "okx", "BTC-USDT-PERP", "books")
        planted = await sims.plant(Disconnect(feed="okx", symbol="BTC-USDT-PERP", close_frame=close_frame, code=4006))
        assert (await closed(socket)).rcvd_code == (4006 if close_frame else None)
        assert planted.result == {"connections": 1}
        seen = other.book.sequence
        await until(lambda: other.book.sequence > seen)


@pytest.mark.parametrize(("feed", "symbol"), FEEDS[1:])
async def test_stall(feed: str, symbol: str) -> None:
    """Nothing comes for as long as was said, then it goes on, with a gap."""
    async with Simulators([feed]) as sims, following(sims, feed, symbol) as client:
        planted = await sims.plant(Stall(feed=feed, symbol=symbol, seconds=0.4))
        await asyncio.sleep(0.1)
        before = _count(client)
        await asyncio.sleep(0.2)
        assert _count(client) == before
        await planted.over()
        assert 0.4 <= (planted.ended_at - planted.started_at) / 1e9 < 0.8
        await until(lambda: client.book.gaps)


def _count(client: Follower) -> int:
    return len(client.bbos) + len(client.other) + len(client.book.tops) + client.book.gaps


@each_feed
async def test_heartbeat(feed: str, symbol: str) -> None:
    """The connections that carry the instrument end as those do that do not answer; the others stay."""
    ends = {"okx": (4004, "No data received in 30s."), "deribit": (4000, "heartbeat close")}
    code, reason = ends.get(feed, (1008, "Pong timeout"))
    async with Simulators([feed]) as sims, opened(sims, feed) as socket, opened(sims, feed) as other:
        await ask(socket, feed, symbol, "books")
        planted = await sims.plant(Heartbeat(feed=feed, symbol=symbol))
        assert (await closed(socket)).rcvd_code == code
        assert socket.close_reason == reason
        assert (await planted.over()).result == {"connections": 1}
        await ask(other, feed, symbol, "books")
        await sims.plant(Heartbeat(feed=feed))
        assert (await closed(other)).rcvd_code == code


@each_feed
async def test_mute(feed: str, symbol: str) -> None:
    """The socket stays open, without data, pong, answer or close frame; new connections work; it ends with the old."""
    async with Simulators([feed]) as sims:
        async with connect(sims.endpoints[feed]["ws"] + PATHS[feed], close_timeout=0.1) as dead:
            await ask(dead, feed, symbol, "books")
            await receive(dead)
            planted = await sims.plant(Mute(feed=feed))
            await listen(dead, 0.05)  # what was under way
            await sims.plant(Heartbeat(feed=feed))  # whoever is dead does not even close
            pong = asyncio.ensure_future(await dead.ping())
            await dead.send("ping" if feed == "okx" else '{"method":"LIST_SUBSCRIPTIONS","id":1}')
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await dead.recv()
            assert not pong.done()
            async with opened(sims, feed) as fresh:
                await ask(fresh, feed, symbol, "books")
                assert await receive(fresh, lambda frame: channel_of(frame) == "books")
            assert not planted.ended_at
        assert dead.protocol.close_sent is not None
        assert dead.protocol.close_rcvd is None
        assert (await planted.over()).result == {"connections": 1}


async def test_a_muted_connection_does_not_keep_the_simulator_from_ending() -> None:
    """It is simply dropped."""
    async with Simulators(["binance-spot"]) as sims:
        socket = await connect(sims.endpoints["binance-spot"]["ws"] + "/stream")
        await sims.plant(Mute(feed="binance-spot"))
        started = time.monotonic()
    assert time.monotonic() - started < 2
    assert (await closed(socket)).rcvd_code is None


@each_feed
async def test_maintenance(feed: str, symbol: str) -> None:
    """Announced, closed, and no way in until it is over."""
    async with Simulators([feed]) as sims:
        async with opened(sims, feed) as socket:
            if feed == "deribit":
                await command(socket, rpc("subscribe", channels=["platform_state"]))
            planted = await sims.plant(Maintenance(feed=feed, seconds=0.4))
            assert _told(await receive(socket)) in ("64008", "!serverShutdown", {"maintenance": True})
            assert (await closed(socket)).rcvd_code == 1001
        with pytest.raises(InvalidStatus) as refused:
            async with opened(sims, feed):
                pass
        assert refused.value.response.status_code == 503
        await planted.over()
        assert planted.result == {"connections": 1, "refused": 1}
        async with following(sims, feed, symbol) as client:
            assert client.book.gaps == 0


def _told(notice: Any) -> Any:
    return notice["params"]["data"] if "params" in notice else notice.get("code") or notice["stream"]


async def test_shutdown_of_one_connection() -> None:
    """Only the connection that carries the symbol is told, and closed."""
    async with Simulators(["okx"]) as sims, opened(sims, "okx") as socket, opened(sims, "okx") as other:
        await ask(socket, "okx", "BTC-USDT", "trades")
        await ask(other, "okx", "BTC-USDT-PERP", "trades")
        await sims.plant(Shutdown(feed="okx", symbol="BTC-USDT", seconds=0.1))
        assert (await receive(socket, lambda body: body.get("event") == "notice"))["code"] == "64008"
        assert (await closed(socket)).rcvd_code == 1001
        assert (await ask(other, "okx", "BTC-USDT-PERP", "bbo"))["event"] == "subscribe"


@each_feed
async def test_rest_is_refused_so_many_times(feed: str, symbol: str) -> None:
    """Two answers say that there were too many, in the exchange's own words; the third is an answer."""
    async with Simulators([feed]) as sims:
        planted = await sims.plant(RateLimit(feed=feed, count=2))
        for _ in range(2):
            status, body, headers = await get(sims, feed, TIMES[feed])
            code = str(body["error"]["code"] if "error" in body else body["code"])
            assert (status, code) == (429, {"okx": "50011", "deribit": "10028"}.get(feed, "-1003"))
            assert not feed.startswith("binance") or headers["Retry-After"] == "1"
            async with opened(sims, feed) as socket:
                assert not {"code", "error"} & set(await ask(socket, feed, symbol, "books"))
        assert (await get(sims, feed, TIMES[feed]))[0] == 200
        assert (await planted.over()).result == {"requests": 2}


async def test_rest_is_refused_for_a_time() -> None:
    """Every request until it is over, with the time that is left; sockets are opened all the same."""
    async with Simulators(["binance-spot"]) as sims:
        planted = await sims.plant(RateLimit(feed="binance-spot", status=418, seconds=1.2))
        answers = [await get(sims, "binance-spot", TIMES["binance-spot"]) for _ in range(3)]
        assert [status for status, _, _ in answers] == [418] * 3
        assert answers[0][2]["Retry-After"] == "2"
        async with opened(sims, "binance-spot"):
            await planted.over()
        assert planted.result == {"requests": 3}
        assert (await get(sims, "binance-spot", TIMES["binance-spot"]))[0] == 200
