"""Channels that fall silent, requests that are refused: as a plain client sees them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from marketprism.simulator import RateLimit, Refuse, Silent, Simulators
from tests.simulator.clients import (
    FEEDS,
    TIMES,
    channel_of,
    closed,
    command,
    each_feed,
    get,
    listen,
    opened,
    receive,
    subscription,
)

ASKED = {"trades": "trades", "books": "books", "quotes": "bbo"}  # the clients' name of a channel


@asynccontextmanager
async def subscribed(sims: Simulators, feed: str, symbol: str, *channels: str) -> AsyncIterator[ClientConnection]:
    async with opened(sims, feed) as socket:
        await command(socket, subscription(feed, symbol, *(ASKED[channel] for channel in channels)))
        yield socket


@pytest.mark.parametrize("channel", list(ASKED))
@each_feed
async def test_silent_until_subscribed_again(feed: str, symbol: str, channel: Any) -> None:
    """One channel of one instrument ends, the others go on; subscribing again brings it back, and that is the end."""
    others = [name for name in ASKED if name != channel]
    async with Simulators([feed], rate=15) as sims, subscribed(sims, feed, symbol, *ASKED) as socket:
        await receive(socket, lambda frame: channel_of(frame) == channel)
        planted = await sims.plant(Silent(feed=feed, symbol=symbol, channel=channel))
        assert planted.result == {"connections": 1}
        await listen(socket, 0.05)  # what was under way
        assert set(await listen(socket, 0.25)) == set(others)
        assert not planted.ended_at
        await command(socket, subscription(feed, symbol, ASKED[channel]))
        assert await receive(socket, lambda frame: channel_of(frame) == channel)
        await planted.over()


@each_feed
async def test_silent_until_reconnected(feed: str, symbol: str) -> None:
    """Subscribing again is acknowledged and does not help; a new connection has all; it ends with the old one."""
    plan = Silent(feed=feed, symbol=symbol, channel="books", until="reconnect")
    async with Simulators([feed]) as sims:
        async with subscribed(sims, feed, symbol, "books", "quotes") as socket:
            planted = await sims.plant(plan)
            await command(socket, subscription(feed, symbol, "books"))
            await listen(socket, 0.05)
            assert set(await listen(socket, 0.25)) == {"quotes"}
            async with subscribed(sims, feed, symbol, "books") as fresh:
                assert await receive(fresh, lambda frame: channel_of(frame) == "books")
            assert not planted.ended_at
        await planted.over()
        assert planted.result == {"connections": 1}


@each_feed
async def test_silent_from_the_beginning(feed: str, symbol: str) -> None:
    """Armed before anyone came: the first client is acknowledged and gets nothing, the second gets all."""
    async with Simulators([feed]) as sims:
        planted = await sims.plant(Silent(feed=feed, symbol=symbol, channel="books"))
        assert not planted.started_at
        async with (
            subscribed(sims, feed, symbol, "books", "quotes") as first,
            subscribed(sims, feed, symbol, "books") as second,
        ):
            assert set(await listen(first, 0.25)) == {"quotes"}
            assert set(await listen(second, 0.25)) == {"books"}
            await command(first, subscription(feed, symbol, "books"))
            assert await receive(first, lambda frame: channel_of(frame) == "books")
        assert (await planted.over()).result == {"connections": 1}


@pytest.mark.parametrize(("feed", "symbol"), FEEDS[:2])
async def test_binance_refuses_the_whole_request(feed: str, symbol: str) -> None:
    """Two requests are refused with an error, the third is taken; requests for other channels are not concerned."""
    both = subscription(feed, symbol, "books", "trades")
    async with Simulators([feed]) as sims, opened(sims, feed) as socket:
        planted = await sims.plant(Refuse(feed=feed, symbol=symbol, channel="books", count=2))
        assert (await command(socket, subscription(feed, symbol, "bbo")))["result"] is None
        for _ in range(2):
            answer = await command(socket, both)
            assert (answer["code"], answer["id"]) == (2, both["id"])
        assert (await command(socket, {"method": "LIST_SUBSCRIPTIONS", "id": 5}))["result"] == ["btcusdt@bookTicker"]
        assert (await command(socket, both))["result"] is None
        assert (await planted.over()).result == {"requests": 2}


async def test_deribit_leaves_out_what_it_refuses() -> None:
    """The refused channel is not among those acknowledged; then both are taken."""
    both = subscription("deribit", "BTC-USD-PERP", "books", "trades")
    async with Simulators(["deribit"]) as sims, opened(sims, "deribit") as socket:
        planted = await sims.plant(Refuse(feed="deribit", symbol="BTC-USD-PERP", channel="books"))
        assert (await command(socket, both))["result"] == ["trades.BTC-PERPETUAL.100ms"]
        assert (await planted.over()).result == {"requests": 1}
        assert sorted((await command(socket, both))["result"]) == both["params"]["channels"]


async def test_okx_refuses_one_argument() -> None:
    """60018 for the refused channel, an acknowledgement for the other one of the request; then both are taken."""
    both = subscription("okx", "BTC-USDT", "books", "trades")
    async with Simulators(["okx"]) as sims, opened(sims, "okx") as socket:
        planted = await sims.plant(Refuse(feed="okx", symbol="BTC-USDT", channel="books"))
        assert (await command(socket, both))["code"] == "60018"
        assert (await receive(socket, lambda body: "event" in body))["arg"]["channel"] == "trades"
        assert (await planted.over()).result == {"requests": 1}
        assert (await command(socket, both))["arg"]["channel"] == "books"


@each_feed
async def test_too_many_requests_to_subscribe(feed: str, symbol: str) -> None:
    """OKX answers 60014 and the connection lives on, the others cut it off with 1008; the next request is taken."""
    async with Simulators([feed]) as sims, opened(sims, feed) as socket:
        planted = await sims.plant(RateLimit(feed=feed, where="ws"))
        assert (await get(sims, feed, TIMES[feed]))[0] == 200
        await socket.send(str(subscription(feed, symbol, "books")).replace("'", '"'))
        if feed == "okx":
            assert (await receive(socket))["code"] == "60014"
        else:
            if feed == "deribit":
                assert (await receive(socket))["error"]["code"] == 10028
            assert (await closed(socket)).rcvd_code == 1008
        assert (await planted.over()).result == {"requests": 1}
        async with subscribed(sims, feed, symbol, "books") as fresh:
            assert await receive(fresh, lambda frame: channel_of(frame) == "books")
