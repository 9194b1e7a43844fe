"""The simulated Deribit's JSON-RPC, errors, channels, heartbeat, credits and REST are as documented."""

import asyncio
import time
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import ClientConnection

from marketprism.simulator import Limits, Simulators
from schemas.instruments import assumed_instrument
from streams.normalize.deribit import normalize
from streams.normalize.messages import BookMessage, Quote, Trade
from tests.simulator.clients import (
    channel_of,
    closed,
    command,
    get,
    listen,
    opened,
    receive,
    rpc,
)
from tests.simulator.local_book import LocalBook, texts

BOOK, QUOTE, TRADES = "book.BTC-PERPETUAL.100ms", "quote.BTC-PERPETUAL", "trades.BTC-PERPETUAL.100ms"


async def send(socket: ClientConnection, method: str, **params: Any) -> None:
    await socket.send(orjson.dumps(rpc(method, **params)).decode())


async def data_of(socket: ClientConnection, channel: str) -> Any:
    return (await receive(socket, lambda frame: channel_of(frame) == channel))["params"]["data"]


async def test_unknown_channels_are_omitted() -> None:
    """Unknown instruments, intervals and channels are missing from the result, without an error; order is not kept."""
    channels = [BOOK, "book.NO-PERPETUAL.100ms", "book.BTC-PERPETUAL.7ms", "nosuch", TRADES, "platform_state", TRADES]
    async with Simulators(["deribit"], rate=0) as sims, opened(sims, "deribit") as socket:
        answer = await command(socket, rpc("subscribe", channels=channels) | {"id": 42})
        assert (answer["jsonrpc"], answer["id"], answer["testnet"]) == ("2.0", 42, False)
        assert answer["usOut"] - answer["usIn"] == answer["usDiff"] >= 0
        assert answer["result"] == [TRADES, "platform_state", BOOK]
        assert (await command(socket, rpc("unsubscribe", channels=[QUOTE, BOOK])))["result"] == [BOOK]
        assert (await command(socket, rpc("unsubscribe_all")))["result"] == "ok"
        assert (await command(socket, rpc("unsubscribe", channels=[TRADES])))["result"] == []


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("nonsense", 11050),
        ("[]", 11050),
        ({"id": 1}, -32601),
        (rpc("nosuch"), -32601),
        (rpc("subscribe"), -32602),
        (rpc("subscribe", channels=[1]), -32602),
        ({"method": "public/subscribe", "params": [BOOK]}, -32602),
        (rpc("subscribe", channels=[QUOTE, "book.BTC-PERPETUAL.raw"]), 13778),
        (rpc("set_heartbeat", interval=9), -32602),
        (rpc("set_heartbeat"), -32602),
        (rpc("get_order_book", instrument_name="BTC-PERPETUAL", depth=3), -32602),
    ],
)
async def test_errors(message: Any, code: int) -> None:
    """Each kind of invalid request has its code, and the connection stays open without subscriptions."""
    async with Simulators(["deribit"]) as sims, opened(sims, "deribit") as socket:
        answer = await command(socket, message)
        assert answer["error"]["code"] == code
        assert "result" not in answer
        assert {"usIn", "usOut", "usDiff", "testnet"} < set(answer)
        assert (await command(socket, rpc("test")))["result"] == {"version": "1.2.26"}
        assert await listen(socket, 0.15) == []


async def test_payloads() -> None:
    """Channels have the documented fields, the normalizer accepts them, and trades of one interval share a frame."""
    instrument = assumed_instrument("deribit", "deribit", "BTC-USD-PERP")
    kinds = {"books": BookMessage, "quotes": Quote, "trades": Trade}
    seen: dict[str, Any] = {}
    async with Simulators(["deribit"], rate=20) as sims, opened(sims, "deribit") as socket:
        await send(socket, "subscribe", channels=[BOOK, QUOTE, TRADES])
        while len(seen) < 3 or len(seen["trades"]) < 2:
            frame = await receive(socket, channel_of)
            seen[channel_of(frame)] = frame["params"]["data"]
            assert {type(event) for event in normalize(orjson.dumps(frame), instrument, 0)} == {
                kinds[channel_of(frame)]
            }
    first, second = seen["trades"][:2]
    assert second["trade_seq"] == first["trade_seq"] + 1
    assert int(second["trade_id"]) == int(first["trade_id"]) + 1
    assert first["contracts"] == first["amount"] / 10
    assert first["tick_direction"] in range(4)
    assert {"mark_price", "index_price", "timestamp", "direction", "instrument_name"} < set(first)
    assert set(seen["quotes"]) == {
        "timestamp", "instrument_name", "best_bid_price", "best_bid_amount", "best_ask_price", "best_ask_amount",
    }  # fmt: skip


async def test_actions_of_book_updates() -> None:
    """Levels not in the book are new, all others changed or deleted; ids jump; a snapshot has no previous id."""
    book = LocalBook("deribit", "BTC-USD-PERP")
    actions: set[str] = set()
    jumps: list[int] = []
    async with Simulators(["deribit"], rate=5) as sims, opened(sims, "deribit") as socket:
        await send(socket, "subscribe", channels=[BOOK])
        book.update(await data_of(socket, "books"))
        while len(jumps) < 10 or len(actions) < 3:
            data = await data_of(socket, "books")
            for side, held in (("bids", book.bids), ("asks", book.asks)):
                for action, price, amount in data[side]:
                    assert (action == "new") == (texts(price)[0] not in held), (action, price)
                    assert (action == "delete") == (amount == 0)
                    actions.add(action)
            jumps.append(data["change_id"] - data["prev_change_id"])
            book.update(data)
    assert book.gaps == 0
    assert max(jumps) > 100


async def test_unchanged_book_sends_nothing() -> None:
    """Only the snapshot and the BBO are sent."""
    async with Simulators(["deribit"], rate=0) as sims, opened(sims, "deribit") as socket:
        await send(socket, "subscribe", channels=[BOOK, QUOTE, TRADES])
        assert sorted(await listen(socket, 0.4)) == ["books", "quotes"]


async def test_only_a_new_subscription_gets_a_snapshot() -> None:
    """Subscribing to an active channel is acknowledged without effect; after unsubscribing, it gives a snapshot."""
    async with Simulators(["deribit"], rate=0) as sims, opened(sims, "deribit") as socket:
        await send(socket, "subscribe", channels=[BOOK, QUOTE])
        assert len(await listen(socket, 0.3)) == 2
        assert (await command(socket, rpc("subscribe", channels=[BOOK, QUOTE])))["result"] == [QUOTE, BOOK]
        assert await listen(socket, 0.3) == []
        await command(socket, rpc("unsubscribe", channels=[BOOK]))
        await send(socket, "subscribe", channels=[BOOK])
        assert (await data_of(socket, "books"))["type"] == "snapshot"


async def test_heartbeat() -> None:
    """A client that answers test requests stays, one that does not is closed; a disabled heartbeat sends none."""
    limits = Limits(ping_interval=0.2, pong_timeout=0.4)
    async with (
        Simulators(["deribit"], limits=limits) as sims,
        opened(sims, "deribit") as answering,
        opened(sims, "deribit") as silent,
        opened(sims, "deribit") as disabled,
    ):
        for socket in (answering, silent, disabled):
            assert (await command(socket, rpc("set_heartbeat", interval=30)))["result"] == "ok"
        await send(disabled, "disable_heartbeat")

        async def answer() -> None:
            for _ in range(6):
                await receive(answering, lambda body: body.get("params") == {"type": "test_request"})
                await send(answering, "test")

        answers = asyncio.create_task(answer())
        assert (await closed(silent)).rcvd_code == 4000
        assert silent.close_reason == "heartbeat close"
        await answers
        await receive(disabled, lambda body: body.get("result") == "ok")
        await send(disabled, "test")
        assert "version" in (await receive(disabled))["result"]


async def test_idle_connection_is_dropped() -> None:
    """A connection without subscription and heartbeat is dropped without a close frame; with either it stays."""
    async with (
        Simulators(["deribit"], rate=0, limits=Limits(idle_timeout=0.3)) as sims,
        opened(sims, "deribit") as subscribed,
        opened(sims, "deribit") as with_heartbeat,
        opened(sims, "deribit") as idle,
    ):
        await command(subscribed, rpc("subscribe", channels=["platform_state"]))
        await command(with_heartbeat, rpc("set_heartbeat", interval=10))
        assert (await closed(idle)).rcvd_code is None
        await asyncio.sleep(0.4)
        for socket in (subscribed, with_heartbeat):
            assert "result" in await command(socket, rpc("test"))


async def test_credits() -> None:
    """Ten subscribe calls in a burst are accepted; a few more end the session with 10028."""
    async with Simulators(["deribit"], rate=0) as sims:
        async with opened(sims, "deribit") as socket:
            for _ in range(10):
                assert "result" in await command(socket, rpc("subscribe", channels=["platform_state"]))
        async with opened(sims, "deribit") as socket:
            for _ in range(20):
                await send(socket, "subscribe", channels=["platform_state"])
            answer = await receive(socket, lambda body: "error" in body)
            assert answer["error"] == {"code": 10028, "message": "too_many_requests"}
            assert (await closed(socket)).rcvd_code == 1008


async def result(sims: Simulators, method: str, **query: Any) -> Any:
    status, body, _ = await get(sims, "deribit", f"/api/v2/public/{method}", **query)
    assert status == 200
    assert {"usIn", "usOut", "usDiff", "testnet"} < set(body)
    return body["result"]


async def test_instruments() -> None:
    """Instruments are filtered by currency and kind; inverse contracts are `reversed`, with amounts in dollars."""
    async with Simulators(["deribit"], rate=0) as sims:
        rows = {row["instrument_name"]: row for row in await result(sims, "get_instruments", currency="any")}
        keys = ("kind", "instrument_type", "settlement_currency", "tick_size", "min_trade_amount", "contract_size")
        option = ("option", "reversed", "BTC", 0.0001, 0.1, 1)
        assert {name: tuple(row.get(key) for key in keys) for name, row in rows.items()} == {
            "BTC-PERPETUAL": ("future", "reversed", "BTC", 0.5, 10, 10),
            "ETH-PERPETUAL": ("future", "reversed", "ETH", 0.05, 1, 1),
            "BTC_USDC-PERPETUAL": ("future", "linear", "USDC", 1, 0.0001, 0.0001),
            "BTC_USDC": ("spot", "linear", None, 1, 0.0001, 0.0001),
            "BTC-25JUN27-90000-C": option,
            "BTC-25JUN27-90000-P": option,
        }
        call = rows["BTC-25JUN27-90000-C"]
        assert (call["strike"], call["option_type"], call["expiration_timestamp"]) == (
            90_000,
            "call",
            1_813_910_400_000,
        )
        one = await result(sims, "get_instrument", instrument_name="BTC_USDC")
        assert one == rows["BTC_USDC"]
        named = await result(sims, "get_instruments", currency="USDC", kind="future", expired="false")
        assert [row["instrument_name"] for row in named] == ["BTC_USDC-PERPETUAL"]
        options = await result(sims, "get_instruments", currency="BTC", kind="option")
        assert [row["option_type"] for row in options] == ["call", "put"]
        assert await result(sims, "get_instruments", currency="ETH", kind="option") == []


async def test_rest() -> None:
    """REST serves time, status and books with the same ids as the WebSocket; errors are in the envelope."""
    async with Simulators(["deribit"], rate=0) as sims:
        assert abs(await result(sims, "get_time") - time.time() * 1000) < 1000
        assert (await result(sims, "status"))["locked"] == "false"
        book = await result(sims, "get_order_book", instrument_name="BTC_USDC", depth=20)
        true = sims.true_book("deribit", "BTC-USDC")
        assert book["change_id"] == true.sequence
        assert book["asks"] == [[float(price), float(amount)] for price, amount in true.asks[:20]]
        assert (book["best_bid_price"], book["best_bid_amount"]) == tuple(map(float, true.bids[0]))
        for path, code in (("subscribe", 10030), ("nosuch", -32601), ("get_instrument", -32602)):
            status, body, _ = await get(sims, "deribit", f"/api/v2/public/{path}")
            assert (status, body["error"]["code"]) == (400, code)
