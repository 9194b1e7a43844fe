"""Silent channels and rejected subscriptions, as a plain client sees them."""

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
    send,
    subscription,
)

CLIENT_NAMES = {"trades": "trades", "books": "books", "quotes": "bbo"}  # of channels, as `subscription` expects them


@asynccontextmanager
async def subscribed(sims: Simulators, feed: str, symbol: str, *channels: str) -> AsyncIterator[ClientConnection]:
    async with opened(sims, feed) as socket:
        await command(socket, subscription(feed, symbol, *(CLIENT_NAMES[channel] for channel in channels)))
        yield socket


@pytest.mark.parametrize("channel", list(CLIENT_NAMES))
@each_feed
async def test_silent_until_resubscribed(feed: str, symbol: str, channel: Any) -> None:
    """One channel of one instrument stops, the others continue; a resubscription restores it and ends the fault."""
    others = [name for name in CLIENT_NAMES if name != channel]
    async with Simulators([feed], rate=15) as sims, subscribed(sims, feed, symbol, *CLIENT_NAMES) as socket:
        await receive(socket, lambda frame: channel_of(frame) == channel)
        planted = await sims.plant(Silent(feed=feed, symbol=symbol, channel=channel))
        assert planted.result == {"connections": 1}
        await listen(socket, 0.05)  # frames that were already sent
        assert set(await listen(socket, 0.25)) == set(others)
        assert not planted.ended_at
        await command(socket, subscription(feed, symbol, CLIENT_NAMES[channel]))
        assert await receive(socket, lambda frame: channel_of(frame) == channel)
        await planted.over()


@each_feed
async def test_silent_until_reconnected(feed: str, symbol: str) -> None:
    """A resubscription is acknowledged without effect; a new connection gets data; closing the old ends the fault."""
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
async def test_silent_from_the_start(feed: str, symbol: str) -> None:
    """If it is armed before any client subscribes, the first is acknowledged but gets no data, the second gets all."""
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
async def test_binance_rejects_the_whole_request(feed: str, symbol: str) -> None:
    """Two requests are rejected, the third is accepted; requests for other channels are not affected."""
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


async def test_deribit_omits_a_rejected_channel() -> None:
    """The rejected channel is missing from the acknowledgement; the next request is accepted completely."""
    both = subscription("deribit", "BTC-USD-PERP", "books", "trades")
    async with Simulators(["deribit"]) as sims, opened(sims, "deribit") as socket:
        planted = await sims.plant(Refuse(feed="deribit", symbol="BTC-USD-PERP", channel="books"))
        assert (await command(socket, both))["result"] == ["trades.BTC-PERPETUAL.100ms"]
        assert (await planted.over()).result == {"requests": 1}
        assert sorted((await command(socket, both))["result"]) == both["params"]["channels"]


async def test_okx_rejects_one_argument() -> None:
    """The rejected channel gets 60018, the request's other one is acknowledged; the next request is accepted."""
    both = subscription("okx", "BTC-USDT", "books", "trades")
    async with Simulators(["okx"]) as sims, opened(sims, "okx") as socket:
        planted = await sims.plant(Refuse(feed="okx", symbol="BTC-USDT", channel="books"))
        assert (await command(socket, both))["code"] == "60018"
        assert (await receive(socket, lambda body: "event" in body))["arg"]["channel"] == "trades"
        assert (await planted.over()).result == {"requests": 1}
        assert (await command(socket, both))["arg"]["channel"] == "books"


@each_feed
async def test_rate_limit_of_subscribe_requests(feed: str, symbol: str) -> None:
    """OKX answers 60014 and keeps the connection, the others close it with 1008; the next request is accepted."""
    async with Simulators([feed]) as sims, opened(sims, feed) as socket:
        planted = await sims.plant(RateLimit(feed=feed, where="ws"))
        assert (await get(sims, feed, TIMES[feed]))[0] == 200
        await send(socket, subscription(feed, symbol, "books"))
        if feed == "okx":
            assert (await receive(socket))["code"] == "60014"
        else:
            if feed == "deribit":
                assert (await receive(socket))["error"]["code"] == 10028
            assert (await closed(socket)).rcvd_code == 1008
        assert (await planted.over()).result == {"requests": 1}
        async with subscribed(sims, feed, symbol, "books") as fresh:
            assert await receive(fresh, lambda frame: channel_of(frame) == "books")
