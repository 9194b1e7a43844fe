"""Changes of the protocol, as a plain client sees them."""

import aiohttp
import pytest
from websockets.exceptions import InvalidStatus

from marketprism.simulator import Change, Move, Simulators
from tests.simulator.clients import PATHS, channel_of, opened, receive, subscribe

FEED, SYMBOL = "okx", "BTC-USDT"


async def test_a_renamed_field() -> None:
    """A field has another name in one channel of one instrument, until the plan's time is over."""
    plan = Change(feed=FEED, symbol=SYMBOL, channel="trades", field="px", name="price", seconds=0.5)
    async with Simulators([FEED]) as sims, opened(sims, FEED) as socket:
        planted = await sims.plant(plan)
        await subscribe(socket, FEED, SYMBOL, "trades", "bbo")
        changed = await receive(socket, lambda body: channel_of(body) == "trades")
        assert all("price" in row and "px" not in row for row in changed["data"])
        assert planted.result["messages"] > 0
        await planted.over()
        await receive(socket, lambda body: "data" in body and "px" in body["data"][0])


async def test_another_value() -> None:
    """A field has another value, also in a book's first snapshot. Other channels are as they were."""
    plan = Change(feed=FEED, symbol=SYMBOL, channel="books", field="checksum", value=7, seconds=60)
    async with Simulators([FEED]) as sims, opened(sims, FEED) as socket:
        await sims.plant(plan)
        await subscribe(socket, FEED, SYMBOL, "books", "bbo")
        snapshot = await receive(socket, lambda body: body.get("action") == "snapshot")
        update = await receive(socket, lambda body: body.get("action") == "update")
        assert snapshot["data"][0]["checksum"] == update["data"][0]["checksum"] == 7
        quote = await receive(socket, lambda body: channel_of(body) == "quotes")
        assert "checksum" not in quote["data"][0]


async def test_a_moved_path() -> None:
    """A path, of WebSockets or REST, answers 404. Others and open connections go on."""
    async with Simulators([FEED]) as sims, opened(sims, FEED) as socket, aiohttp.ClientSession() as http:
        for path in (PATHS[FEED], "/api/v5/public/time"):
            planted = await sims.plant(Move(feed=FEED, path=path, seconds=60))
            async with http.get(sims.endpoints[FEED]["rest"] + path) as answer:
                assert answer.status == 404
            assert planted.result["requests"] == 1
        with pytest.raises(InvalidStatus, match="404"):
            async with opened(sims, FEED):
                pass
        async with opened(sims, FEED, "/ws/v5/business"):
            pass
        await subscribe(socket, FEED, SYMBOL, "trades")
