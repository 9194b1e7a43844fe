"""The simulated Binance's control messages, paths, payloads, heartbeat and REST are as documented."""

import asyncio
import time
from decimal import Decimal
from functools import partial
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from marketprism.simulator import Limits, Refuse, Shutdown, Silent, Simulators
from tests.simulator.clients import closed, command, get, opened, receive

SPOT = "binance-spot"
USDM = "binance-usdm"
COINM = "binance-coinm"


async def test_control_messages() -> None:
    """Acknowledgements, subscription lists and properties have the request's id."""
    async with Simulators([SPOT]) as sims, opened(sims, SPOT) as socket:
        names = ["btcusdt@trade", "nosuch@depth"]
        assert await command(socket, {"method": "SUBSCRIBE", "params": names, "id": 7}) == {"result": None, "id": 7}
        assert await command(socket, {"method": "LIST_SUBSCRIPTIONS", "id": "b"}) == {"result": names, "id": "b"}
        answer = await command(socket, {"method": "UNSUBSCRIBE", "params": names[:1], "id": 8})
        assert answer == {"result": None, "id": 8}
        assert (await command(socket, {"method": "GET_PROPERTY", "params": ["combined"], "id": 9}))["result"] is True


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('{"method":"SUBSCRIBE"', 3),
        ('["SUBSCRIBE"]', 2),
        ('{"method":"NONSENSE","params":["x"],"id":1}', 2),
        ('{"method":"SUBSCRIBE","id":1}', 2),
        ('{"method":"SUBSCRIBE","params":[1],"id":1}', 2),
        ('{"method":"SET_PROPERTY","params":["combined","yes"],"id":1}', 1),
        ('{"method":"SET_PROPERTY","params":["shape",true],"id":1}', 0),
    ],
)
async def test_errors(message: str, code: int) -> None:
    """Each kind of invalid request has its code, and the connection stays open."""
    async with Simulators([SPOT]) as sims, opened(sims, SPOT) as socket:
        answer = await command(socket, message)
        assert answer["code"] == code
        assert answer["msg"]
        assert (await command(socket, {"method": "LIST_SUBSCRIPTIONS", "id": 2}))["result"] == []


async def test_spot_payloads() -> None:
    """Combined and raw streams have exactly the documented fields."""
    keys = {
        "btcusdt@trade": {"e", "E", "s", "t", "p", "q", "T", "m", "M"},
        "btcusdt@aggTrade": {"e", "E", "s", "a", "p", "q", "f", "l", "T", "m", "M"},
        "btcusdt@depth@100ms": {"e", "E", "s", "U", "u", "b", "a"},
        "btcusdt@depth": {"e", "E", "s", "U", "u", "b", "a"},
        "btcusdt@bookTicker": {"u", "s", "b", "B", "a", "A"},
    }
    async with Simulators([SPOT], rate=3) as sims:
        async with opened(sims, SPOT, "/stream?streams=" + "/".join(keys)) as socket:
            for name, fields in keys.items():
                frame = await receive(socket, partial(_is_from, name))
                assert set(frame["data"]) == fields
                assert frame["data"]["s"] == "BTCUSDT"
        async with opened(sims, SPOT, "/ws/ethusdt@bookTicker") as socket:
            assert (await receive(socket))["s"] == "ETHUSDT"


def _is_from(name: str, frame: Any) -> bool:
    return bool(frame["stream"] == name)


async def test_usdm_payloads_and_paths() -> None:
    """Each stream is served on its own path; on the other it is acknowledged but silent, as unknown streams are."""
    keys = {
        "btcusdt@trade": {"e", "E", "T", "s", "t", "p", "q", "X", "m"},
        "btcusdt@depth@100ms": {"e", "E", "T", "s", "ps", "U", "u", "pu", "b", "a", "st"},
        "btcusdt@bookTicker": {"e", "u", "E", "T", "s", "ps", "b", "B", "a", "A", "st"},
    }
    on_market = "btcusdt@aggTrade"
    request = {"method": "SUBSCRIBE", "params": [*keys, on_market, "nosuch@trade"], "id": 1}
    async with Simulators([USDM], rate=3) as sims:
        async with opened(sims, USDM, "/public/stream") as socket:
            assert await command(socket, request) == {"result": None, "id": 1}
            seen = await _streams(socket, 0.5)
            assert set(seen) == set(keys)
            assert all(set(seen[name]) == fields for name, fields in keys.items())
        async with opened(sims, USDM, "/market/stream") as socket:
            assert await command(socket, request) == {"result": None, "id": 1}
            seen = await _streams(socket, 0.5)
            assert set(seen) == {on_market}
            assert set(seen[on_market]) == {"e", "E", "s", "a", "p", "q", "nq", "f", "l", "T", "m", "st"}


async def _streams(socket: ClientConnection, seconds: float) -> dict[str, Any]:
    """Return the last frame of every stream that sends data within `seconds`."""
    seen: dict[str, Any] = {}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        frame = await receive(socket)
        seen[frame["stream"]] = frame["data"]
    return seen


async def test_mark_prices() -> None:
    """Mark prices come at both speeds on /market only, with the true values and the next multiple of 8 h."""
    names = ["btcusdt@markPrice", "btcusdt@markPrice@1s"]
    request = {"method": "SUBSCRIBE", "params": names, "id": 1}
    async with (
        Simulators([USDM]) as sims,
        opened(sims, USDM, "/market/stream") as socket,
        opened(sims, USDM, "/public/stream") as public,
    ):
        sims.pause()
        for each in (socket, public):
            assert await command(each, request) == {"result": None, "id": 1}
        seen = await _streams(socket, 3.1)
        assert set(seen) == set(names)
        true = sims.true_funding(USDM, "BTC-USDT-PERP")
        for data in seen.values():
            assert set(data) == {"e", "E", "s", "p", "ap", "i", "P", "r", "T", "st"}
            assert (data["e"], data["s"], data["st"]) == ("markPriceUpdate", "BTCUSDT", 1)
            assert [Decimal(data[name]) for name in "pir"] == [*map(Decimal, (true.mark, true.index, true.rate))]
            assert data["T"] % 28_800_000 == 0 < data["T"] - data["E"] <= 28_800_000
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await public.recv()


async def test_silent_mark_prices() -> None:
    """Faults of subscriptions strike mark prices as they do other channels."""
    request = {"method": "SUBSCRIBE", "params": ["btcusdt@markPrice@1s"], "id": 1}
    fault = {"feed": USDM, "symbol": "BTC-USDT-PERP", "channel": "mark_prices"}
    async with Simulators([USDM]) as sims, opened(sims, USDM, "/market/stream") as socket:
        refused, silent = await sims.plant(Refuse.model_validate(fault)), await sims.plant(Silent.model_validate(fault))
        assert (await command(socket, request))["code"] == 2
        await refused.over()
        assert (await command(socket, request))["result"] is None
        assert silent.result == {"connections": 1}
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.2):
                await socket.recv()
        assert (await command(socket, request))["result"] is None
        await silent.over()
        assert (await receive(socket))["stream"] == "btcusdt@markPrice@1s"


async def test_coinm_payloads() -> None:
    """All streams are on one path, with USD-M's fields, the pair and the family; amounts are whole contracts."""
    keys = {
        "btcusd_perp@trade": {"e", "E", "T", "s", "t", "p", "q", "X", "m"},
        "btcusd_perp@aggTrade": {"e", "E", "s", "a", "p", "q", "nq", "f", "l", "T", "m", "st"},
        "btcusd_perp@depth@100ms": {"e", "E", "T", "s", "ps", "U", "u", "pu", "b", "a", "st"},
        "btcusd_perp@bookTicker": {"e", "u", "E", "T", "s", "ps", "b", "B", "a", "A", "st"},
        "btcusd_perp@markPrice@1s": {"e", "E", "s", "p", "ap", "i", "P", "r", "T", "st"},
    }
    async with Simulators([COINM], rate=3) as sims:
        async with opened(sims, COINM, "/stream") as socket:
            assert (await command(socket, {"method": "SUBSCRIBE", "params": [*keys], "id": 1}))["result"] is None
            seen = await _streams(socket, 1.2)
        for root in ("/public", "/market"):
            with pytest.raises(InvalidStatus):
                async with opened(sims, COINM, f"{root}/stream"):
                    pass
    assert {name: set(data) for name, data in seen.items()} == keys
    for data in seen.values():
        assert data["s"] == "BTCUSD_PERP"
        assert data.get("ps", "BTCUSD") == "BTCUSD"
        assert data.get("st", 2) == 2
    amounts = [seen["btcusd_perp@trade"]["q"], *(amount for _, amount in seen["btcusd_perp@depth@100ms"]["b"])]
    assert all(amount.isdigit() for amount in amounts)


async def test_coinm_mark_prices() -> None:
    """Perpetuals have the true rate, dated futures an empty one and no time of the next payment."""
    symbols = {"BTCUSD_PERP": "BTC-USD-PERP", "BTCUSD_261225": "BTC-USD-261225"}
    path = "/stream?streams=" + "/".join(f"{name.lower()}@markPrice@1s" for name in symbols)
    async with Simulators([COINM]) as sims:
        sims.pause()
        async with opened(sims, COINM, path) as socket:
            rows = {data["s"]: data for data in (await _streams(socket, 1.1)).values()}
        for name, symbol in symbols.items():
            true, data = sims.true_funding(COINM, symbol), rows[name]
            assert [Decimal(data["p"]), Decimal(data["i"])] == [Decimal(true.mark), Decimal(true.index)]
            assert (data["r"] and Decimal(data["r"])) == (true.rate and Decimal(true.rate))
            assert (data["r"] == "") == (data["T"] == 0) == (symbol == "BTC-USD-261225")


async def test_coinm_rest() -> None:
    """exchangeInfo has pair, contract size, margin and delivery of each contract, and depth has USD-M's limits."""
    keys = ("pair", "contractType", "contractStatus", "contractSize", "marginAsset", "quoteAsset", "deliveryDate")
    never, december = 4133404800000, 1798185600000
    async with Simulators([COINM], rate=0) as sims:
        _, body, _ = await get(sims, COINM, "/dapi/v1/exchangeInfo")
        rows = {row["symbol"]: row for row in body["symbols"]}
        assert {name: tuple(row[key] for key in keys) for name, row in rows.items()} == {
            "BTCUSD_PERP": ("BTCUSD", "PERPETUAL", "TRADING", 100, "BTC", "USD", never),
            "ETHUSD_PERP": ("ETHUSD", "PERPETUAL", "TRADING", 10, "ETH", "USD", never),
            "BTCUSD_261225": ("BTCUSD", "CURRENT_QUARTER", "TRADING", 100, "BTC", "USD", december),
        }
        assert all("status" not in row for row in rows.values())
        filters = {each["filterType"]: each for each in rows["ETHUSD_PERP"]["filters"]}
        assert (filters["PRICE_FILTER"]["tickSize"], filters["LOT_SIZE"]["stepSize"]) == ("0.01", "1")
        _, body, headers = await get(sims, COINM, "/dapi/v1/depth", symbol="BTCUSD_261225", limit=50)
        assert (len(body["bids"]), set(body)) == (50, {"lastUpdateId", "E", "T", "bids", "asks"})
        assert headers["X-MBX-USED-WEIGHT-1M"] == "3"  # after exchangeInfo
        status, body, _ = await get(sims, COINM, "/dapi/v1/depth", symbol="BTCUSD", limit=50)
        assert (status, body["code"]) == (400, -1121)


async def test_usdm_ids_chain_by_previous() -> None:
    """`pu` is the `u` of the event before; `U` is usually greater than `pu` + 1."""
    async with Simulators([USDM]) as sims, opened(sims, USDM, "/public/ws/btcusdt@depth@100ms") as socket:
        events = [await receive(socket) for _ in range(6)]
    pairs = list(pairwise(events))
    assert all(later["pu"] == earlier["u"] for earlier, later in pairs)
    assert any(event["U"] != event["pu"] + 1 for event in events)
    assert all(event["pu"] < event["U"] <= event["u"] for event in events)


async def test_unanswered_pings_close_the_connection() -> None:
    """The server pings at the interval and disconnects a client that never answers, but not one that does."""
    limits = Limits(ping_interval=0.2, pong_timeout=0.3)
    async with Simulators([SPOT], rate=0, limits=limits) as sims, opened(sims, SPOT) as good:
        address = sims.endpoints[SPOT]["ws"] + "/stream"
        async with aiohttp.ClientSession() as http, http.ws_connect(address, autoping=False) as unresponsive:
            async with asyncio.timeout(5):
                kinds = [message.type async for message in unresponsive]
            assert set(kinds) == {aiohttp.WSMsgType.PING}
            assert unresponsive.close_code == 1008
        assert (await command(good, {"method": "LIST_SUBSCRIPTIONS", "id": 1}))["result"] == []


async def test_too_many_messages_close_the_connection() -> None:
    """The connection is closed after more than five messages within a second, including pings."""
    async with Simulators([SPOT]) as sims, opened(sims, SPOT) as socket:
        for number in range(3):
            await socket.send(f'{{"method":"LIST_SUBSCRIPTIONS","id":{number}}}')
            await socket.ping()
        assert (await closed(socket)).rcvd_code == 1008


async def test_shutdown_is_announced() -> None:
    """`serverShutdown` is sent before the close."""
    async with Simulators([SPOT]) as sims, opened(sims, SPOT) as socket:
        planted = await sims.plant(Shutdown(feed=SPOT, seconds=0.2))
        frame = await receive(socket)
        assert (frame["stream"], frame["data"]["e"]) == ("!serverShutdown", "serverShutdown")
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert (await planted.over()).result == {"connections": 1}


async def test_rest_depth() -> None:
    """Snapshots have levels, id and used weight, on futures also times; invalid symbols and limits are rejected."""
    async with Simulators([SPOT, USDM], rate=0) as sims:
        status, body, headers = await get(sims, SPOT, "/api/v3/depth", symbol="BTCUSDT", limit=1000)
        true = sims.true_book(SPOT, "BTC-USDT")
        assert (status, body["lastUpdateId"], headers["X-MBX-USED-WEIGHT-1M"]) == (200, true.sequence, "50")
        assert [tuple(level) for level in body["bids"]] == true.bids
        assert set(body) == {"lastUpdateId", "bids", "asks"}
        _, body, _ = await get(sims, SPOT, "/api/v3/depth", symbol="BTCUSDT", limit=7)
        assert len(body["asks"]) == 7
        _, body, _ = await get(sims, USDM, "/fapi/v1/depth", symbol="BTCUSDT", limit=50)
        assert set(body) == {"lastUpdateId", "E", "T", "bids", "asks"}
        status, body, _ = await get(sims, SPOT, "/api/v3/depth", symbol="NOSUCH")
        assert (status, body["code"]) == (400, -1121)
        status, body, _ = await get(sims, USDM, "/fapi/v1/depth", symbol="BTCUSDT", limit=7)
        assert (status, body["code"]) == (400, -1130)


async def test_rest_weight() -> None:
    """Beyond the weight limit the response is 429 with code -1003 and the time to wait."""
    async with Simulators([SPOT], limits=Limits(weight_per_minute=100)) as sims:
        answers = [await get(sims, SPOT, "/api/v3/depth", symbol="BTCUSDT", limit=1000) for _ in range(4)]
        status, body, headers = answers[-1]
        assert (status, body["code"]) == (429, -1003)
        assert 1 <= int(headers["Retry-After"]) <= 60


async def test_rest_instruments_and_time() -> None:
    """exchangeInfo has tick and lot, for all or for the requested symbols; the time is in milliseconds."""
    async with Simulators([SPOT, USDM]) as sims:
        _, body, _ = await get(sims, SPOT, "/api/v3/exchangeInfo", symbols='["ETHUSDT"]')
        [row] = body["symbols"]
        filters = {each["filterType"]: each for each in row["filters"]}
        assert (row["symbol"], row["status"]) == ("ETHUSDT", "TRADING")
        assert float(filters["PRICE_FILTER"]["tickSize"]) == 0.01
        assert float(filters["LOT_SIZE"]["stepSize"]) == 0.0001
        _, body, _ = await get(sims, USDM, "/fapi/v1/exchangeInfo")
        assert {row["contractType"] for row in body["symbols"]} == {"PERPETUAL"}
        status, body, _ = await get(sims, SPOT, "/api/v3/exchangeInfo", symbol="NOSUCH")
        assert (status, body["code"]) == (400, -1121)
        for feed, path in ((SPOT, "/api/v3/time"), (USDM, "/fapi/v1/time")):
            _, body, _ = await get(sims, feed, path)
            assert abs(body["serverTime"] - time.time() * 1000) < 2000
