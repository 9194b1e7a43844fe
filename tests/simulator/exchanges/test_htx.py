"""The simulated HTX's control messages, errors, channels, heartbeat and REST are as documented."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from itertools import pairwise
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import ClientConnection

from marketprism.simulator import (
    BookView,
    Gap,
    Limits,
    Malformed,
    RateLimit,
    Refuse,
    Restart,
    Shutdown,
    Silent,
    Simulators,
)
from tests.simulator.clients import closed, get, opened

PATHS = {"htx-spot": "/feed", "htx-linear": "/linear-swap-ws"}
NAMES = {"htx-spot": "btcusdt", "htx-linear": "BTC-USDT"}
SYMBOLS = {"htx-spot": "BTC-USDT", "htx-linear": "BTC-USDT-PERP"}
BOOKS = {"htx-spot": "market.btcusdt.mbp.400", "htx-linear": "market.BTC-USDT.depth.size_150.high_freq"}
each_feed = pytest.mark.parametrize("feed", sorted(PATHS))

Side = dict[Decimal, Decimal]


async def receive(socket: ClientConnection, wanted: str = "") -> Any:
    """Return the next frame that has this key, and answer pings."""
    async with asyncio.timeout(5):
        while True:
            frame = await socket.recv()
            assert isinstance(frame, bytes)
            body = orjson.loads(gzip.decompress(frame))
            if "ping" in body and wanted != "ping":
                await ask(socket, {"pong": body["ping"]})
            elif not wanted or wanted in body:
                return body


async def ask(socket: ClientConnection, body: Any) -> None:
    await socket.send(body if isinstance(body, str) else orjson.dumps(body).decode())


def books_request(feed: str, verb: str = "sub") -> dict[str, str]:
    more = {"data_type": "incremental"} if feed == "htx-linear" else {}
    return {verb: BOOKS[feed], "id": "b1"} | more


class LocalBook:
    """Client's book by the documented procedure (docs/protocols/htx.md §4.5, §5.5).

    `gaps` counts breaks of the chain.
    """

    def __init__(self, feed: str) -> None:
        self.feed = feed
        self.sequence = -1
        self.sides: tuple[Side, Side] = ({}, {})
        self.gaps = 0

    async def synchronise(self, socket: ClientConnection) -> None:
        await ask(socket, books_request(self.feed))
        assert (await receive(socket, "subbed"))["subbed"] == BOOKS[self.feed]
        first = (await receive(socket, "ch"))["tick"]
        if self.feed == "htx-linear":
            assert first["event"] == "snapshot"
            self._seed(first["version"], first)
            return
        buffered = [first]
        while self.sequence < first["prevSeqNum"]:
            await ask(socket, books_request(self.feed, "req"))
            while "rep" not in (body := await receive(socket)):
                buffered.append(body["tick"])
            self._seed(body["data"]["seqNum"], body["data"])
            await asyncio.sleep(0.1)  # one request every 100 ms is allowed
        for tick in buffered:
            if tick["seqNum"] > self.sequence:
                self.update(tick)

    def update(self, tick: Any) -> None:
        if self.feed == "htx-linear":
            follows, last = tick["version"] == self.sequence + 1, tick["version"]
        else:
            follows, last = tick["prevSeqNum"] == self.sequence, tick["seqNum"]
        self.gaps += not follows
        self.sequence = last
        for side, changes in zip(self.sides, (tick.get("bids", []), tick.get("asks", [])), strict=True):
            side.update({Decimal(str(price)): Decimal(str(amount)) for price, amount in changes})

    async def follow(self, socket: ClientConnection, frames: int) -> None:
        for _ in range(frames):
            self.update((await receive(socket, "ch"))["tick"])

    async def equals(self, socket: ClientConnection, true: BookView) -> bool:
        """Return whether the book equals the true one within 12 frames."""
        for _ in range(12):
            if self._levels() == ([*map(_exact, true.bids)], [*map(_exact, true.asks)]):
                return True
            await self.follow(socket, 1)
        return False

    def _seed(self, sequence: int, body: Any) -> None:
        self.sequence, self.sides = sequence, ({}, {})
        for side, levels in zip(self.sides, (body["bids"], body["asks"]), strict=True):
            side.update({Decimal(str(price)): Decimal(str(amount)) for price, amount in levels})

    def _levels(self) -> tuple[list[tuple[Decimal, Decimal]], list[tuple[Decimal, Decimal]]]:
        bids, asks = ([level for level in sorted(side.items()) if level[1]] for side in self.sides)
        return bids[::-1], asks


def _exact(level: tuple[str, str]) -> tuple[Decimal, Decimal]:
    return Decimal(level[0]), Decimal(level[1])


async def data_within(socket: ClientConnection, seconds: float) -> int:
    """Return the number of data frames received within `seconds`."""
    count = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while await receive(socket, "ch"):
                count += 1
    return count


@asynccontextmanager
async def synchronised(sims: Simulators, feed: str) -> AsyncIterator[tuple[ClientConnection, LocalBook]]:
    book = LocalBook(feed)
    async with opened(sims, feed, PATHS[feed]) as socket:
        await book.synchronise(socket)
        yield socket, book


@each_feed
async def test_documented_procedure_gives_true_book(feed: str) -> None:
    """All levels of both sides are equal, without a gap."""
    async with Simulators([feed], seed=4, levels=120) as sims, synchronised(sims, feed) as (socket, book):
        await book.follow(socket, 15)
        sims.pause()
        true = sims.true_book(feed, SYMBOLS[feed])
        assert await book.equals(socket, true)
        assert (book.gaps, len(true.bids), len(true.asks)) == (0, 120, 120)


@pytest.mark.parametrize("count", [5, 20, 150])
async def test_spot_books_of_few_levels(count: int) -> None:
    """A book of N levels follows the true book's best N; only 150 and 400 have both sides in every frame."""
    topic = f"market.btcusdt.mbp.{count}"
    async with Simulators(["htx-spot"], levels=200) as sims, opened(sims, "htx-spot", "/feed") as socket:
        await ask(socket, {"sub": topic, "id": "1"})
        await receive(socket, "subbed")
        ticks = [(await receive(socket, "ch"))["tick"] for _ in range(12)]
        assert all(new["prevSeqNum"] == old["seqNum"] for old, new in pairwise(ticks))
        assert all({"bids", "asks"} <= set(tick) for tick in ticks) == (count == 150)
        await ask(socket, {"req": topic, "id": "2"})
        data = (await receive(socket, "rep"))["data"]
        assert (len(data["bids"]), len(data["asks"])) == (count, count)


async def test_spot_sends_empty_frames() -> None:
    """Without changes both sides are empty, and the ids continue."""
    async with Simulators(["htx-spot"], rate=0) as sims, opened(sims, "htx-spot", "/feed") as socket:
        await ask(socket, books_request("htx-spot"))
        first, second = [(await receive(socket, "ch"))["tick"] for _ in range(2)]
        assert (second["bids"], second["asks"]) == ([], [])
        assert second["prevSeqNum"] == first["seqNum"] < second["seqNum"]


async def test_linear_versions_are_per_connection() -> None:
    """Two connections have different versions; a resubscription continues the connection's count."""
    async with Simulators(["htx-linear"]) as sims, synchronised(sims, "htx-linear") as (socket, book):
        async with synchronised(sims, "htx-linear") as (_, other):
            assert abs(book.sequence - other.sequence) > 100
        await ask(socket, books_request("htx-linear", "unsub"))
        await receive(socket, "unsubbed")
        before = book.sequence
        await book.synchronise(socket)
        assert before <= book.sequence < before + 100


@pytest.mark.parametrize(
    ("feed", "path", "request_", "reason"),
    [
        ("htx-spot", "/ws", "nonsense", "not json string"),
        ("htx-spot", "/ws", {"id": "1"}, "invalid topic"),
        ("htx-spot", "/ws", {"sub": "market.nosuch.bbo", "id": "1"}, "invalid topic"),
        ("htx-spot", "/ws", {"sub": "market.btcusdt.mbp.400", "id": "1"}, "invalid topic"),
        ("htx-spot", "/feed", {"sub": "market.btcusdt.bbo", "id": "1"}, "invalid topic"),
        ("htx-spot", "/ws", {"unsub": "market.btcusdt.bbo", "id": "1"}, "unsub with not subbed topic"),
        ("htx-spot", "/ws", {"req": "market.btcusdt.bbo", "id": "1"}, "invalid topic"),
        ("htx-linear", "/linear-swap-ws", {"sub": BOOKS["htx-linear"], "id": "1"}, "invalid topic"),
        ("htx-linear", "/linear-swap-ws", {"sub": "market.BTC-USDT.depth.size_400.high_freq"}, "invalid topic"),
    ],
)
async def test_errors(feed: str, path: str, request_: Any, reason: str) -> None:
    """Each kind of invalid request gets the documented error message, and the connection stays open."""
    async with Simulators([feed]) as sims, opened(sims, feed, path) as socket:
        await ask(socket, request_)
        answer = await receive(socket, "status")
        assert (answer["status"], answer["err-code"]) == ("error", "bad-request")
        assert answer["err-msg"].startswith(reason)
        name = {"htx-spot": "btcusdt", "htx-linear": "btc-usdt"}[feed]
        if path != "/feed":
            await ask(socket, {"sub": f"market.{name}.bbo", "id": "2"})  # swaps accept any case
            assert (await receive(socket, "subbed"))["id"] == "2"


async def test_one_snapshot_request_every_100_ms() -> None:
    """The second of two immediate requests for a snapshot is rejected."""
    async with Simulators(["htx-spot"]) as sims, opened(sims, "htx-spot", "/feed") as socket:
        for _ in range(2):
            await ask(socket, books_request("htx-spot", "req"))
        assert "rep" in await receive(socket, "status")
        assert (await receive(socket, "status"))["err-msg"] == "429 too many request"


@each_feed
async def test_payloads(feed: str) -> None:
    """Trades and BBOs have the documented fields."""
    trade = {"id", "ts", "amount", "price", "direction"}
    keys = {
        "htx-spot": (
            trade | {"tradeId"},
            {"seqId", "ask", "askSize", "bid", "bidSize", "quoteTime", "symbol"},
        ),
        "htx-linear": (
            trade | {"quantity", "trade_turnover"},
            {"mrid", "id", "bid", "ask", "ts", "version", "ch"},
        ),
    }[feed]
    path = {"htx-spot": "/ws"}.get(feed, PATHS[feed])
    async with Simulators([feed], rate=5) as sims, opened(sims, feed, path) as socket:
        seen: dict[str, Any] = {}
        for channel in ("trade.detail", "bbo"):
            await ask(socket, {"sub": f"market.{NAMES[feed]}.{channel}", "id": channel})
        while len(seen) < 2:
            frame = await receive(socket, "ch")
            seen.setdefault(frame["ch"].split(".", 2)[2], frame["tick"])
        assert set(seen["trade.detail"]["data"][0]) == keys[0]
        assert set(seen["bbo"]) == keys[1]


@asynccontextmanager
async def notifications(sims: Simulators) -> AsyncIterator[ClientConnection]:
    async with opened(sims, "htx-linear", "/linear-swap-notification") as socket:
        yield socket


async def operation(socket: ClientConnection, **request: Any) -> Any:
    """Send a request to the notification socket, and return the answer."""
    await ask(socket, request)
    while (body := await receive(socket, "op"))["op"] in ("ping", "notify"):
        pass
    return body


async def notified(socket: ClientConnection) -> Any:
    """Return the next push of the notification socket, which comes every 5 s."""
    async with asyncio.timeout(8):
        while True:
            body = orjson.loads(gzip.decompress(await socket.recv(decode=False)))
            if body["op"] == "notify":
                return body


async def test_funding_rates() -> None:
    """The notification socket acknowledges with code 0 and pushes the true rate as text; contracts in any case."""
    topic = "public.BTC-USDT.funding_rate"
    async with Simulators(["htx-linear"]) as sims, notifications(sims) as socket:
        sims.pause()
        answer = await operation(socket, op="sub", cid="1", topic="public.btc-usdt.funding_rate")
        assert answer.pop("ts") > 0
        assert answer == {"op": "sub", "cid": "1", "topic": "public.btc-usdt.funding_rate", "err-code": 0}
        frame = await notified(socket)
        assert (set(frame), frame["topic"]) == ({"op", "topic", "ts", "data"}, topic)
        [row] = frame["data"]
        assert set(row) == {
            "symbol", "contract_code", "fee_asset", "funding_time", "funding_rate", "estimated_rate",
            "settlement_time", "trade_partition",
        }  # fmt: skip
        assert (row["contract_code"], row["fee_asset"], row["estimated_rate"]) == ("BTC-USDT", "USDT", None)
        assert Decimal(row["funding_rate"]) == Decimal(sims.true_funding("htx-linear", "BTC-USDT-PERP").rate)
        assert int(row["settlement_time"]) % 28_800_000 == 0
        assert 0 < int(row["settlement_time"]) - int(row["funding_time"]) <= 28_800_000
        assert (await operation(socket, op="unsub", cid="2", topic=topic))["err-code"] == 0
        with pytest.raises(TimeoutError):
            await notified(socket)


async def test_errors_of_notifications() -> None:
    """Each kind of invalid request has its code; funding is not served on the market socket, nor trades here."""
    topic = "public.BTC-USDT.funding_rate"
    codes: list[tuple[str, str, int]] = [
        ("sub", "public.BTC-USDT.nosuch", 2010),
        ("sub", "market.BTC-USDT.trade.detail", 2010),
        ("sub", "public.NO-SUCH.funding_rate", 2011),
        ("unsub", topic, 2012),
        ("sub", topic, 0),
        ("sub", topic, 2014),
    ]
    async with (
        Simulators(["htx-linear"]) as sims,
        notifications(sims) as socket,
        opened(sims, "htx-linear", PATHS["htx-linear"]) as market,
    ):
        for invalid in ("nonsense", "[]", {"op": "nosuch"}, {"sub": topic}):
            await ask(socket, invalid)
            while (answer := await receive(socket, "op"))["op"] == "ping":
                pass
            assert set(answer) == {"op", "ts"}
            assert answer["op"] == "error"
        for verb, name, code in codes:
            assert (await operation(socket, op=verb, topic=name))["err-code"] == code
        await ask(market, {"sub": topic})
        assert (await receive(market, "err-msg"))["err-msg"].startswith("invalid topic")


async def test_faults_of_notifications() -> None:
    """Rejected, rate-limited and silent subscriptions, and the announcement of a shutdown."""
    topic, fault = (
        "public.BTC-USDT.funding_rate",
        {"feed": "htx-linear", "symbol": "BTC-USDT-PERP", "channel": "funding"},
    )
    async with Simulators(["htx-linear"]) as sims, notifications(sims) as socket:
        await sims.plant(Refuse.model_validate(fault))
        await sims.plant(RateLimit(feed="htx-linear", where="ws", count=1))
        silent = await sims.plant(Silent.model_validate(fault))
        for code in (2004, 2011, 0):
            assert (await operation(socket, op="sub", topic=topic))["err-code"] == code
        assert silent.result == {"connections": 1}
        for verb in ("unsub", "sub"):
            assert (await operation(socket, op=verb, topic=topic))["err-code"] == 0
        await silent.over()
        await sims.plant(Shutdown(feed="htx-linear", seconds=0.2))
        assert (await operation(socket, op="pong", ts="0"))["op"] == "close"


async def test_pings_of_notifications() -> None:
    """A client that answers pings with their time stays connected; one that does not is disconnected."""
    async with (
        Simulators(["htx-linear"], limits=Limits(ping_interval=0.05, pong_timeout=0.3)) as sims,
        notifications(sims) as answering,
        notifications(sims) as unresponsive,
    ):
        for _ in range(12):
            frame = await receive(answering, "op")
            assert (frame["op"], type(frame["ts"])) == ("ping", str)
            await ask(answering, {"op": "pong", "ts": frame["ts"]})
        assert (await closed(unresponsive)).rcvd_code == 1003
        await receive(answering, "op")


@each_feed
async def test_pings(feed: str) -> None:
    """A client that answers pings stays connected; one that does not is disconnected."""
    async with (
        Simulators([feed], limits=Limits(ping_interval=0.05, pong_timeout=0.3)) as sims,
        opened(sims, feed, PATHS[feed]) as answering,
        opened(sims, feed, PATHS[feed]) as unresponsive,
    ):
        for _ in range(12):
            await ask(answering, {"pong": (await receive(answering, "ping"))["ping"]})
        assert (await closed(unresponsive)).rcvd_code == 1003
        await receive(answering, "ping")


@each_feed
async def test_faults(feed: str) -> None:
    """Gaps break the chain, ids restart, subscriptions go silent or are rejected, and rate limits apply."""
    symbol = SYMBOLS[feed]
    async with Simulators([feed]) as sims, synchronised(sims, feed) as (socket, book):
        planted = await (await sims.plant(Gap(feed=feed, symbol=symbol, count=2))).over()
        assert len(planted.result["frames"]) == 2
        await book.follow(socket, 12)
        assert book.gaps == 1
        before = book.sequence
        await (await sims.plant(Restart(feed=feed, symbol=symbol))).over()
        await book.follow(socket, 12)
        assert book.gaps == 2
        assert book.sequence < before
        await sims.plant(Silent(feed=feed, symbol=symbol, channel="books"))
        assert await data_within(socket, 0.5) < 3  # frames that were already sent
        await ask(socket, books_request(feed, "unsub"))
        await receive(socket, "unsubbed")
        await sims.plant(Refuse(feed=feed, symbol=symbol, channel="books"))
        await sims.plant(RateLimit(feed=feed, where="ws", count=1))
        for reason in ("429", "invalid topic"):
            await ask(socket, books_request(feed))
            assert (await receive(socket, "err-msg"))["err-msg"].startswith(reason)
        await LocalBook(feed).synchronise(socket)
        await sims.plant(Malformed(feed=feed, symbol=symbol, form="given", frame="[1,2"))
        while gzip.decompress(await socket.recv(decode=False)) != b"[1,2":
            pass
        await sims.plant(Shutdown(feed=feed, seconds=0.2))
        assert (await receive(socket, "op"))["op"] == "close"
        assert (await closed(socket)).rcvd_code == 1001


async def test_rest() -> None:
    """REST serves listings with precisions and contract sizes, the time, and the exchange's error for rate limits."""
    async with Simulators(["htx-spot", "htx-linear"], rate=0) as sims:
        _, body, _ = await get(sims, "htx-spot", "/v1/settings/common/market-symbols")
        assert {row["symbol"]: (row["pp"], row["ap"]) for row in body["data"]} == {"btcusdt": (2, 6), "ethusdt": (2, 4)}
        assert (await get(sims, "htx-spot", "/v1/common/timestamp"))[1]["status"] == "ok"
        path = "/linear-swap-api/v1/swap_contract_info"
        _, body, _ = await get(sims, "htx-linear", path)
        assert {row["contract_code"]: row["contract_size"] for row in body["data"]} == {
            "BTC-USDT": 0.001,
            "ETH-USDT": 0.01,
        }
        assert (await get(sims, "htx-linear", "/api/v1/timestamp"))[1]["ts"] > 0
        await sims.plant(RateLimit(feed="htx-linear", count=1))
        status, body, _ = await get(sims, "htx-linear", path)
        assert (status, body["err_code"]) == (429, 1032)
