"""The simulated OKX's control messages, errors, channels, heartbeat and REST are as documented."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from statistics import median
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from marketprism.simulator import Limits, Refuse, Shutdown, Silent, Simulators, Stall
from marketprism.simulator.market import listings
from marketprism.simulator.market.listings import LISTINGS
from tests.simulator.clients import closed, command, following, opened, receive, send, subscription

BUSINESS = "/ws/v5/business"


def subscribe(*args: dict[str, str], operation: str = "subscribe") -> dict[str, Any]:
    return {"id": "a1", "op": operation, "args": list(args)}


async def test_one_acknowledgement_per_argument() -> None:
    """Each argument is acknowledged separately, with the ids of the request and the connection."""
    args = [{"channel": "trades", "instId": "BTC-USDT"}, {"channel": "books", "instId": "ETH-USDT-SWAP"}]
    async with Simulators(["okx"]) as sims, opened(sims, "okx") as socket:
        first = await command(socket, subscribe(*args))
        second = await receive(socket, lambda body: "event" in body)
        assert [first["arg"], second["arg"]] == args
        assert first["event"] == "subscribe"
        assert first["id"] == "a1"
        assert first["connId"] == second["connId"]
        assert (await command(socket, subscribe(args[0], operation="unsubscribe")))["event"] == "unsubscribe"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("nonsense", "60012"),
        ({"op": "subscribe", "argss": []}, "60012"),
        ({"op": "subscribe", "args": []}, "60013"),
        (subscribe({"instId": "BTC-USDT"}), "60013"),
        (subscribe({"channel": "trades", "instId": "BTC-USDT"}, operation="login"), "60019"),
        (subscribe({"channel": "trades", "instId": "NO-SUCH"}), "60018"),
        (subscribe({"channel": "nosuch", "instId": "BTC-USDT"}), "60018"),
        (subscribe({"channel": "trades-all", "instId": "BTC-USDT"}), "60018"),
        (subscribe({"channel": "candle1m", "instId": "BTC-USDT"}), "60018"),
        (subscribe({"channel": "liquidation-orders", "instType": "SPOT"}), "60018"),
        (subscribe({"channel": "opt-summary", "instFamily": "ETH-USD"}), "60018"),
        (subscribe({"channel": "estimated-price", "instType": "SWAP", "instFamily": "BTC-USD"}), "60018"),
        (subscribe({"channel": "funding-rate", "instId": "BTC-USDT"}), "60018"),
        (subscribe({"channel": "mark-price", "instId": "BTC-USDT"}), "60018"),
        (subscribe({"channel": "index-tickers", "instId": "BTC-USDT-SWAP"}), "60018"),
        (subscribe({"channel": "books-l2-tbt", "instId": "BTC-USDT"}), "64003"),
    ],
)
async def test_errors(message: Any, code: str) -> None:
    """Each kind of invalid request has its code, and the connection stays open."""
    async with Simulators(["okx"]) as sims, opened(sims, "okx") as socket:
        answer = await command(socket, message)
        assert (answer["event"], answer["code"]) == ("error", code)
        assert "arg" not in answer
        await socket.send("ping")
        assert await socket.recv() == "pong"


async def test_invalid_argument_does_not_affect_the_others() -> None:
    """The error names no argument; the valid one is acknowledged."""
    invalid, valid = {"channel": "trades", "instId": "NO-SUCH"}, {"channel": "trades", "instId": "BTC-USDT"}
    async with Simulators(["okx"]) as sims, opened(sims, "okx") as socket:
        assert (await command(socket, subscribe(invalid, valid)))["code"] == "60018"
        assert (await receive(socket, lambda body: "event" in body))["arg"] == valid


async def test_payloads() -> None:
    """Every channel has the documented fields; levels are four strings."""
    keys = {
        "trades": {"instId", "tradeId", "px", "sz", "side", "ts", "count", "source", "seqId"},
        "bbo-tbt": {"asks", "bids", "ts", "seqId"},
        "books5": {"asks", "bids", "instId", "ts", "seqId"},
        "books": {"asks", "bids", "ts", "checksum", "prevSeqId", "seqId"},
    }
    args = [{"channel": channel, "instId": "BTC-USDT-SWAP"} for channel in keys]
    async with Simulators(["okx"], rate=3) as sims:
        async with opened(sims, "okx") as socket:
            await send(socket, subscribe(*args))
            seen: dict[str, Any] = {}
            while set(seen) != set(keys):
                frame = await receive(socket, lambda body: "data" in body)
                seen.setdefault(frame["arg"]["channel"], frame)
        assert all(set(frame["data"][0]) == keys[channel] for channel, frame in seen.items())
        assert seen["books"]["action"] == "snapshot"
        assert "action" not in seen["bbo-tbt"]
        assert len(seen["books5"]["data"][0]["bids"]) == 5
        assert all(len(level) == 4 and level[2] == "0" for level in seen["books"]["data"][0]["asks"])
        async with opened(sims, "okx", BUSINESS) as socket:
            await command(socket, subscribe({"channel": "trades-all", "instId": "BTC-USDT"}))
            frame = await receive(socket, lambda body: "data" in body)
            assert set(frame["data"][0]) == keys["trades"] - {"count", "seqId"}


def states(instrument: str, index: str) -> list[dict[str, str]]:
    names = {"funding-rate": instrument, "mark-price": instrument, "index-tickers": index}
    return [{"channel": channel, "instId": name} for channel, name in names.items()]


async def test_states_of_derivatives() -> None:
    """Funding rate, mark price and index price are pushed on subscribing, with the true values."""
    keys = {
        "funding-rate": {
            "instType", "instId", "fundingRate", "fundingTime", "nextFundingTime", "nextFundingRate", "minFundingRate",
            "maxFundingRate", "settState", "settFundingRate", "premium", "interestRate", "impactValue", "method",
            "formulaType", "ts",
        },
        "mark-price": {"instType", "instId", "markPx", "ts"},
        "index-tickers": {"instId", "idxPx", "open24h", "high24h", "low24h", "sodUtc0", "sodUtc8", "ts"},
    }  # fmt: skip
    args = states("BTC-USD-SWAP", "BTC-USD")
    async with Simulators(["okx"]) as sims, opened(sims, "okx") as socket:
        sims.pause()
        await send(socket, subscribe(*args))
        rows: dict[str, Any] = {}
        while set(rows) != set(keys):
            frame = await receive(socket, lambda body: "data" in body)
            assert frame["arg"] in args
            [rows[frame["arg"]["channel"]]] = frame["data"]
        assert {channel: set(row) for channel, row in rows.items()} == keys
        funding, mark, index = (rows[channel] for channel in keys)
        true = sims.true_funding("okx", "BTC-USD-PERP")
        assert (index["instId"], mark["instId"], mark["instType"]) == ("BTC-USD", "BTC-USD-SWAP", "SWAP")
        assert Decimal(funding["fundingRate"]) == Decimal(true.rate)
        assert Decimal(mark["markPx"]) == Decimal(true.mark)
        assert Decimal(index["idxPx"]) == Decimal(true.index)
        assert int(funding["nextFundingTime"]) - int(funding["fundingTime"]) == 28_800_000
        assert all(type(value) is str for row in rows.values() for value in row.values())


async def test_changed_states() -> None:
    """Changed mark and index prices are pushed every 200 and 500 ms, a changed funding rate at once."""
    async with Simulators(["okx"]) as sims, opened(sims, "okx") as socket:
        await send(socket, subscribe(*states("BTC-USDT-SWAP", "BTC-USDT")))
        seen: dict[str, list[Any]] = {channel["channel"]: [] for channel in states("", "")}
        while len({row["fundingRate"] for row in seen["funding-rate"]}) < 2:
            frame = await receive(socket, lambda body: "data" in body)
            seen[frame["arg"]["channel"]] += frame["data"]
    for channel, least in (("mark-price", 190), ("index-tickers", 490)):
        times = [int(row["ts"]) for row in seen[channel][1:]]  # the first is that of the subscription
        assert len(times) > 3
        # On a busy machine the market is late, and then catches up.
        assert median(later - earlier for earlier, later in pairwise(times)) > least - 100


async def test_shared_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instruments of one index share its stream: a fault of any of them strikes it, a stall only one of all of them."""
    dated = replace(next(each for each in LISTINGS if each.symbol == "BTC-USDT-PERP"), feed="okx")
    monkeypatch.setattr(listings, "LISTINGS", (*LISTINGS, replace(dated, symbol="BTC-USDT-261225")))
    request = subscribe({"channel": "index-tickers", "instId": "BTC-USDT"})
    async with Simulators(["okx"]) as sims, opened(sims, "okx") as socket:
        assert sims.true_funding("okx", "BTC-USDT-261225").rate == ""
        for symbol in ("BTC-USDT-261225", "BTC-USDT-PERP"):
            fault = {"feed": "okx", "symbol": symbol, "channel": "index_prices"}
            await sims.plant(Refuse.model_validate(fault))
            assert (await command(socket, request))["code"] == "60018"
            assert (await command(socket, request))["event"] == "subscribe"
            await receive(socket, lambda body: "data" in body)
            assert (await sims.plant(Silent.model_validate(fault))).result == {"connections": 1}
            await command(socket, request)
        await sims.plant(Stall(feed="okx", symbol="BTC-USDT-261225", seconds=10))
        for _ in range(3):
            await receive(socket, lambda body: "data" in body)
        await sims.plant(Stall(feed="okx", symbol="BTC-USDT-PERP", seconds=10))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await socket.recv()


async def test_resubscription_starts_with_a_snapshot() -> None:
    """After a resubscription the next book frame is a snapshot that the updates continue."""
    async with Simulators(["okx"]) as sims, following(sims, "okx", "BTC-USDT") as client, opened(sims, "okx") as socket:
        request = subscription("okx", "BTC-USDT", "books")
        for operation in ("subscribe", "unsubscribe", "subscribe"):
            await send(socket, request | {"op": operation})
        frame = await receive(socket, lambda body: "data" in body)
        assert frame["action"] == "snapshot"
        following_frame = await receive(socket, lambda body: "data" in body)
        assert following_frame["data"][0]["prevSeqId"] == frame["data"][0]["seqId"]
        assert client.book.gaps == 0


async def test_unchanged_book_sends_keep_alives() -> None:
    """After the keep-alive time without a change, an empty update with equal ids is sent."""
    async with Simulators(["okx"], rate=0, limits=Limits(keep_alive=0.3)) as sims, opened(sims, "okx") as socket:
        await send(socket, subscription("okx", "BTC-USDT", "books"))
        snapshot = await receive(socket, lambda body: body.get("action") == "snapshot")
        keep_alive = await receive(socket, lambda body: body.get("action") == "update")
        [row] = keep_alive["data"]
        assert (row["bids"], row["asks"]) == ([], [])
        assert row["seqId"] == row["prevSeqId"] == snapshot["data"][0]["seqId"]


async def test_idle_connection_is_closed() -> None:
    """A connection without subscription and pings is closed with 4004; one that pings stays open."""
    async with (
        Simulators(["okx"], limits=Limits(idle_timeout=0.4)) as sims,
        opened(sims, "okx") as pinging,
        opened(sims, "okx") as idle,
    ):

        async def ping() -> None:
            for _ in range(7):
                await pinging.send("ping")
                assert await pinging.recv() == "pong"
                await asyncio.sleep(0.1)

        pings = asyncio.create_task(ping())
        assert (await closed(idle)).rcvd_code == 4004
        await pings


async def test_upgrade_notice() -> None:
    """The notice 64008 is sent before the close."""
    async with Simulators(["okx"]) as sims, opened(sims, "okx") as socket:
        await sims.plant(Shutdown(feed="okx", seconds=0.2))
        notice = await receive(socket)
        assert (notice["event"], notice["code"]) == ("notice", "64008")
        with pytest.raises(ConnectionClosed):
            await socket.recv()
