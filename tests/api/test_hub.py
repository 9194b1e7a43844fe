"""WebSocket clients: snapshots, changes, patterns, slow clients."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from marketprism.api import clients, hub
from tests.api.conftest import Served
from tests.api.market_data import apply, quote, snapshot, status


class Client:
    """A client that gathers what it is sent."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.changes: list[dict[str, Any]] = []

    async def send(self, **request: Any) -> None:
        await self.socket.send(orjson.dumps(request).decode())

    async def until(self, kind: str) -> dict[str, Any]:
        """Return the next message of this type."""
        while True:
            message: dict[str, Any] = orjson.loads(await asyncio.wait_for(self.socket.recv(), 10))
            self.changes += message.get("changes", [])
            if message["type"] == kind:
                return message

    async def next(self, channel: str, kind: str = "change") -> dict[str, Any]:
        """Return the next change of a channel."""
        while True:
            for number, change in enumerate(self.changes):
                if (change["channel"], change["type"]) == (channel, kind):
                    return self.changes.pop(number)
            await self.until("changes")


@asynccontextmanager
async def connected(served: Served) -> AsyncIterator[Client]:
    async with connect(f"ws://{served.address}/stream", max_size=None) as socket:
        yield Client(socket)


async def test_a_snapshot_then_changes(served: Served) -> None:
    """A subscription begins with what is known, and goes on with each change, numbered."""
    quote(served.market, "100", "101")
    async with connected(served) as client:
        await client.send(subscribe=["quotes:BTC-USDT:*"])
        assert (await client.until("subscribed"))["patterns"] == ["quotes:BTC-USDT:*"]
        first = await client.next("quotes:BTC-USDT:okx", "snapshot")
        assert (first["sequence"], first["data"]["bids"]) == (1, [["100", "1"]])
        quote(served.market, "100.50", "101")
        second = await client.next("quotes:BTC-USDT:okx")
        assert (second["sequence"], second["data"]["bids"]) == (2, [["100.50", "1"]])


async def test_what_comes_later_begins_with_a_snapshot_too(served: Served) -> None:
    """A channel that does not exist yet is sent as soon as it does."""
    async with connected(served) as client:
        await client.send(subscribe=["quotes:*"])
        await client.until("subscribed")
        quote(served.market, "100", "101", "htx", "ETH-USDT")
        assert (await client.next("quotes:ETH-USDT:htx", "snapshot"))["data"]["exchange"] == "htx"


async def test_only_what_was_asked_for(served: Served) -> None:
    """Other channels are not sent, and an unsubscribed one no longer."""
    quote(served.market, "100", "101")
    snapshot(served.market, [["100", "1"]], [["101", "1"]])
    async with connected(served) as client:
        await client.send(subscribe=["quotes:BTC-USDT:okx", "books:BTC-USDT:okx"])
        await client.next("books:BTC-USDT:okx", "snapshot")
        await client.send(unsubscribe=["quotes:BTC-USDT:okx"])
        assert (await client.until("subscribed"))["patterns"] == ["books:BTC-USDT:okx"]
        client.changes.clear()
        quote(served.market, "102", "103")
        apply(served.market, "market.books", type="update", bids=[["99", "7"]], asks=[])
        await client.next("books:BTC-USDT:okx")
        assert {change["channel"] for change in client.changes} <= {"books:BTC-USDT:okx"}


async def test_a_book_is_sent_whole(served: Served) -> None:
    """Each change of a book has its best levels and its state."""
    snapshot(served.market, [["100", "1"]], [["101", "1"]])
    async with connected(served) as client:
        await client.send(subscribe=["books:*"])
        await client.next("books:BTC-USDT:okx", "snapshot")
        apply(served.market, "market.books", type="update", bids=[["99", "7"], ["100", "0"]], asks=[])
        book = (await client.next("books:BTC-USDT:okx"))["data"]
        assert (book["bids"], book["asks"], book["state"]) == ([["99", "7"]], [["101", "1"]], "live")
        apply(served.market, "market.gaps", type="opened", channel="books")
        assert (await client.next("books:BTC-USDT:okx"))["data"]["state"] == "stale"


async def test_no_trade_is_lost(served: Served) -> None:
    """All trades arrive, in order and once, those before the subscription as its snapshot."""
    sent = [apply(served.market, "market.trades", id=str(number)) for number in range(10)]
    async with connected(served) as client:
        await client.send(subscribe=["trades:BTC-USDT:okx"])
        got = (await client.next("trades:BTC-USDT:okx", "snapshot"))["data"]
        for number in range(10, 300):
            sent.append(apply(served.market, "market.trades", id=str(number)))
            if not number % 20:
                await asyncio.sleep(0.03)
        while len(got) < len(sent):
            change = await client.next("trades:BTC-USDT:okx")
            assert "skipped" not in change
            got += change["data"]
        assert got == sent


async def test_open_signals_come_first(served: Served) -> None:
    """The snapshot of signals has each opportunity's newest event: the closed ones, then those that are open."""
    for number, kinds in enumerate((["opened", "updated"], ["opened", "closed"], ["opened"])):
        for kind in kinds:
            apply(served.market, "signals.arbitrage", id=f"s{number}", type=kind)
    async with connected(served) as client:
        await client.send(subscribe=["signals:*"])
        found = (await client.next("signals:BTC-USDT", "snapshot"))["data"]
        assert [(each["id"], each["type"]) for each in found] == [("s1", "closed"), ("s0", "updated"), ("s2", "opened")]


async def test_feeds_and_comparisons(served: Served) -> None:
    """A lost feed is sent at once, as down, also to those who compare its prices."""
    status(served.market, "connected", "quotes")
    quote(served.market, "100", "101")
    async with connected(served) as client:
        await client.send(subscribe=["feeds:*", "compare:BTC-USDT"])
        assert (await client.next("feeds:*:okx:okx", "snapshot"))["data"]["state"] == "live"
        assert (await client.next("compare:BTC-USDT", "snapshot"))["data"]["rows"][0]["state"] == "live"
        status(served.market, "disconnected", "quotes")
        while (await client.next("feeds:*:okx:okx"))["data"]["state"] != "down":
            pass
        while (await client.next("compare:BTC-USDT"))["data"]["rows"][0]["state"] != "down":
            pass


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"subscribe": "quotes"}', '{"other": []}', '{"subscribe": [""]}', '{"subscribe": ["a:b:c:d:e"]}'],
)
async def test_unusable_requests(served: Served, text: str) -> None:
    """An unusable request is answered with what is wrong, and the connection goes on."""
    async with connected(served) as client:
        await client.socket.send(text)
        assert (await client.until("error"))["reason"]
        await client.socket.send(text.encode())
        await client.until("error")
        await client.send(subscribe=["quotes:*"])
        await client.until("subscribed")


async def test_too_many_patterns(served: Served) -> None:
    """The number of patterns is bounded."""
    async with connected(served) as client:
        await client.send(subscribe=[f"quotes:A{number}-USDT:*" for number in range(300)])
        assert "more than 200 patterns" in (await client.until("error"))["reason"]


async def test_heartbeats(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client hears that the connection lives although nothing changes."""
    monkeypatch.setattr(clients, "_HEARTBEAT_S", 0.1)
    async with connected(served) as client:
        assert (await client.until("heartbeat"))["time"] > 0


async def test_a_slow_client(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that reads nothing holds nothing up; what it missed is counted, and in the end it is disconnected."""
    monkeypatch.setattr(hub, "_SLOW_S", 4.0)
    levels = [[str(price), "1.00000000"] for price in range(1, 200)]
    async with connected(served) as slow, connected(served) as fast:
        for client in (slow, fast):
            await client.send(subscribe=["depth:*", "trades:*"])
            await client.until("subscribed")
        slow.socket.transport.pause_reading()
        number = 0
        while served.context.hub.clients == 2:
            for symbol in ("BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT"):
                snapshot(served.market, levels, [["1000", "1"]], "okx", symbol)
                for _ in range(400):
                    number += 1
                    apply(served.market, "market.trades", "okx", symbol, id=str(number))
            await fast.until("changes")
            fast.changes.clear()
        assert served.context.hub.dropped == 1
        slow.socket.transport.resume_reading()
        with pytest.raises(ConnectionClosed):
            await slow.until("the end")
        apply(served.market, "market.trades", "okx", "BTC-USDT", id="last")
        await fast.until("changes")


async def test_a_storm_of_requests(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that keeps asking with many patterns gets a tenth of the time: others get their frames in between."""
    for number in range(300):
        for exchange in ("okx", "htx"):
            quote(served.market, "1", "2", exchange, f"A{number}-USDT")
    answered = []
    monkeypatch.setattr(clients.Client, "note", lambda client, body: answered.append(body))
    async with connected(served) as storm, connected(served) as other:
        await other.send(subscribe=["quotes:BTC-USDT:*"])
        for round_ in range(50):
            await storm.send(subscribe=[f"*:*{round_}{number}*:?k*" for number in range(200)])
            await storm.send(unsubscribe=[f"*:*{round_}{number}*:?k*" for number in range(200)])
        for _ in range(20):
            quote(served.market, "100", "101")
            await other.until("changes")
    assert len(answered) < 50


async def test_a_channel_that_is_gone(served: Served) -> None:
    """Clients of a delisted instrument get nothing more of it, and everything of the others."""
    async with connected(served) as client:
        quote(served.market, "1", "2", "okx", "ABC-USDT")
        await client.send(subscribe=["quotes:*"])
        await client.next("quotes:ABC-USDT:okx", "snapshot")
        served.market.channels.remove(served.market.channels.by_name["quotes:ABC-USDT:okx"])
        quote(served.market, "100", "101")
        await client.next("quotes:BTC-USDT:okx", "snapshot")
        quote(served.market, "3", "4", "okx", "ABC-USDT")
        assert (await client.next("quotes:ABC-USDT:okx", "snapshot"))["data"]["bids"] == [["3", "1"]]
