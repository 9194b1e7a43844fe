"""Plain clients of the simulated exchanges: the documented book synchronisation, written out once more, and no more."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from typing import Any, NamedTuple

import aiohttp
import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from marketprism.simulator import BookView, Simulators

PATHS = {
    "binance-spot": "/stream",
    "binance-usdm": "/public/stream",
    "okx": "/ws/v5/public",
    "deribit": "/ws/api/v2",
}
TIMES = {
    "binance-spot": "/api/v3/time",
    "binance-usdm": "/fapi/v1/time",
    "okx": "/api/v5/public/time",
    "deribit": "/api/v2/public/get_time",
}
NAMES = {
    ("binance-spot", "BTC-USDT"): "BTCUSDT",
    ("binance-usdm", "BTC-USDT-PERP"): "BTCUSDT",
    ("okx", "BTC-USDT"): "BTC-USDT",
    ("okx", "BTC-USDT-PERP"): "BTC-USDT-SWAP",
    ("okx", "BTC-USD-PERP"): "BTC-USD-SWAP",
    ("deribit", "BTC-USD-PERP"): "BTC-PERPETUAL",
    ("deribit", "BTC-USDC"): "BTC_USDC",
}
LAST_IDS = {"binance-spot": "u", "binance-usdm": "u", "okx": "seqId", "deribit": "change_id"}


FEEDS = [
    ("binance-spot", "BTC-USDT"),
    ("binance-usdm", "BTC-USDT-PERP"),
    ("okx", "BTC-USDT-PERP"),
    ("deribit", "BTC-USD-PERP"),
]
each_feed = pytest.mark.parametrize(("feed", "symbol"), FEEDS)


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def opened(sims: Simulators, feed: str, path: str = "") -> AsyncIterator[ClientConnection]:
    async with connect(sims.endpoints[feed]["ws"] + (path or PATHS[feed])) as socket:
        yield socket


async def receive(socket: ClientConnection, wanted: Callable[[Any], object] = lambda body: True) -> Any:
    """The next frame that is wanted, parsed."""
    async with asyncio.timeout(5):
        while True:
            body = orjson.loads(await socket.recv())
            if wanted(body):
                return body


class Closed(NamedTuple):
    """The codes of the close frames received and sent; None: there was none."""

    rcvd_code: int | None
    sent_code: int | None


async def closed(socket: ClientConnection) -> Closed:
    """Read until the connection is closed."""
    async with asyncio.timeout(5):
        try:
            while True:
                await socket.recv()
        except ConnectionClosed as error:
            return Closed(error.rcvd.code if error.rcvd else None, error.sent.code if error.sent else None)


async def command(socket: ClientConnection, body: Any) -> Any:
    """Send a control message; the answer to it."""
    await socket.send(body if isinstance(body, str) else orjson.dumps(body).decode())
    return await receive(socket, lambda answer: not {"stream", "data", "e", "method"} & set(answer))


async def get(sims: Simulators, feed: str, path: str, **query: Any) -> tuple[int, Any, Any]:
    """Status, body and headers of a REST request."""
    async with (
        aiohttp.ClientSession() as http,
        http.get(sims.endpoints[feed]["rest"] + path, params=query) as answer,
    ):
        return answer.status, orjson.loads(await answer.read()), answer.headers


def subscription(feed: str, symbol: str, *channels: str) -> dict[str, Any]:
    """`channels` of: trades, books, bbo."""
    name = NAMES[feed, symbol]
    if feed == "okx":
        known = {"trades": "trades", "books": "books", "bbo": "bbo-tbt"}
        return {"op": "subscribe", "args": [{"channel": known[channel], "instId": name} for channel in channels]}
    if feed == "deribit":
        known = {"trades": f"trades.{name}.100ms", "books": f"book.{name}.100ms", "bbo": f"quote.{name}"}
        return rpc("subscribe", channels=[known[channel] for channel in channels])
    known = {"trades": "trade", "books": "depth@100ms", "bbo": "bookTicker"}
    return {"method": "SUBSCRIBE", "params": [f"{name.lower()}@{known[channel]}" for channel in channels], "id": 1}


def rpc(method: str, **params: Any) -> dict[str, Any]:
    """A request to Deribit."""
    return {"jsonrpc": "2.0", "id": 1, "method": f"public/{method}", "params": params}


CHANNELS = {
    "trade": "trades",
    "trades": "trades",
    "depth": "books",
    "books": "books",
    "bookTicker": "quotes",
    "bbo-tbt": "quotes",
    "book": "books",
    "quote": "quotes",
}


def channel_of(frame: Any) -> str:
    """trades, books or quotes; "": no data."""
    if frame.get("method") == "subscription":
        return CHANNELS.get(frame["params"]["channel"].split(".")[0], "")
    if "data" not in frame:
        return ""
    name = frame["stream"].split("@")[1] if "stream" in frame else frame["arg"]["channel"]
    return CHANNELS.get(name, "")


async def listen(socket: ClientConnection, seconds: float) -> list[str]:
    """The channels of the data that come within so many seconds."""
    seen = []
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                seen.append(channel_of(orjson.loads(await socket.recv())))
    return [channel for channel in seen if channel]


class LocalBook:
    """A book as a client keeps it. `gaps` counts breaks of the chain, `repeated` what it held already."""

    def __init__(self, feed: str, symbol: str) -> None:
        self.feed = feed
        self.symbol = symbol
        self.sequence = -1
        self.first = True
        self.bids: dict[str, str] = {}
        self.asks: dict[str, str] = {}
        self.gaps = 0
        self.repeated = 0
        self.tops: dict[int, tuple[str, ...]] = {}

    def seed(self, sequence: int, bids: Any, asks: Any) -> None:
        self.bids, self.asks = ({level[0]: level[1] for level in side} for side in (bids, asks))
        self.sequence, self.first = sequence, True
        self.tops[sequence] = self.top()

    def take(self, frame: Any) -> None:
        if self.feed == "okx":
            self._take_okx(frame)
        elif self.feed == "deribit":
            self._take_deribit(frame)
        else:
            self._take_binance(frame)

    def _take_okx(self, frame: Any) -> None:
        [row] = frame["data"]
        if frame["action"] == "snapshot":
            assert row["prevSeqId"] == -1
            self.seed(row["seqId"], row["bids"], row["asks"])
        elif row["prevSeqId"] == self.sequence:
            self._apply(row["seqId"], row["bids"], row["asks"])
        else:
            self._broken(row["seqId"])

    def _take_deribit(self, data: Any) -> None:
        bids, asks = ([texts(*entry[1:]) for entry in data[side]] for side in ("bids", "asks"))
        if data["type"] == "snapshot":
            assert "prev_change_id" not in data
            self.seed(data["change_id"], bids, asks)
        elif data["prev_change_id"] == self.sequence:
            self._apply(data["change_id"], bids, asks)
        else:
            self._broken(data["change_id"])

    def _take_binance(self, event: Any) -> None:
        if self._follows(event):
            self._apply(event["u"], event["b"], event["a"])
        elif not self.first or event["u"] > self.sequence:
            self._broken(event["u"])

    def _follows(self, event: Any) -> bool:
        if self.feed == "binance-spot":
            return bool(event["U"] <= self.sequence + 1 and event["u"] > self.sequence)
        if self.first and event["U"] <= self.sequence <= event["u"]:
            return True
        return bool(event["pu"] == self.sequence)

    def _apply(self, sequence: int, bids: Any, asks: Any) -> None:
        for side, changes in ((self.bids, bids), (self.asks, asks)):
            for price, amount, *_ in changes:
                if float(amount):
                    side[price] = amount
                else:
                    side.pop(price, None)
        self.sequence, self.first = sequence, False
        self.tops[sequence] = self.top()

    def _broken(self, sequence: int) -> None:
        if sequence <= self.sequence:
            self.repeated += 1
        else:
            self.gaps += 1
            self.sequence = sequence

    def levels(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        return (
            sorted(self.bids.items(), key=lambda level: -float(level[0])),
            sorted(self.asks.items(), key=lambda level: float(level[0])),
        )

    def top(self) -> tuple[str, ...]:
        bids, asks = self.levels()
        return (*bids[0], *asks[0]) if bids and asks else ()

    def equals(self, book: BookView) -> bool:
        return self.levels() == (book.bids, book.asks)


class Follower:
    """A client that keeps one instrument's book from the socket and, where the exchange wants it, REST."""

    def __init__(self, sims: Simulators, feed: str, symbol: str) -> None:
        self.book = LocalBook(feed, symbol)
        self.bbos: list[tuple[int, tuple[str, ...]]] = []
        self.other: list[Any] = []
        self._sims = sims
        self._socket: ClientConnection | None = None

    async def run(self, socket: ClientConnection) -> None:
        """Subscribe, synchronise, follow until cancelled."""
        await socket.send(
            orjson.dumps(subscription(self.book.feed, self.book.symbol, "books", "bbo", "trades")).decode()
        )
        buffered = await self._seed(socket) if self.book.feed.startswith("binance") else []
        for event in buffered:
            self._on(event)
        async for frame in socket:
            self._on(orjson.loads(frame))

    async def _seed(self, socket: ClientConnection) -> list[Any]:
        """docs/protocols/binance.md §1.5 and §2.4: buffer, fetch, and fetch again while the snapshot is older than
        the buffer."""
        frames = [await receive(socket, lambda body: body.get("data", {}).get("e") == "depthUpdate")]
        prefix = {"binance-spot": "/api/v3", "binance-usdm": "/fapi/v1"}[self.book.feed]
        name = NAMES[self.book.feed, self.book.symbol]
        while self.book.sequence < frames[0]["data"]["U"]:
            _, body, _ = await get(self._sims, self.book.feed, f"{prefix}/depth", symbol=name, limit=1000)
            self.book.seed(body["lastUpdateId"], body["bids"], body["asks"])
        return frames

    def _on(self, frame: Any) -> None:
        body = frame.get("data", frame)
        if self.book.feed == "okx":
            self._on_okx(frame)
        elif self.book.feed == "deribit":
            self._on_deribit(frame)
        elif body.get("e") == "depthUpdate":
            self.book.take(body)
        elif "B" in body:
            self.bbos.append((body["u"], (body["b"], body["B"], body["a"], body["A"])))
        else:
            self.other.append(body)

    def _on_okx(self, frame: Any) -> None:
        channel = frame.get("arg", {}).get("channel")
        if channel == "books" and "data" in frame:
            self.book.take(frame)
        elif channel == "bbo-tbt" and "data" in frame:
            [row] = frame["data"]
            self.bbos.append((row["seqId"], (*row["bids"][0][:2], *row["asks"][0][:2])))
        else:
            self.other.append(frame)

    def _on_deribit(self, frame: Any) -> None:
        channel, data = channel_of(frame), frame.get("params", {}).get("data")
        if channel == "books":
            self.book.take(data)
        elif channel == "quotes":
            bid, ask = (texts(data[f"best_{side}_price"], data[f"best_{side}_amount"]) for side in ("bid", "ask"))
            self.bbos.append((-1, (*bid, *ask)))  # it has no id
        else:
            self.other.append(frame)


def texts(*numbers: float) -> tuple[str, ...]:
    """JSON numbers as an exchange that sends text would write them: `86750.0` → `86750`."""
    return tuple(f"{Decimal(repr(number)).normalize():f}" for number in numbers)


@asynccontextmanager
async def following(sims: Simulators, feed: str, symbol: str) -> AsyncIterator[Follower]:
    follower = Follower(sims, feed, symbol)
    async with opened(sims, feed) as socket:
        task = asyncio.create_task(follower.run(socket))
        try:
            async with asyncio.timeout(5):
                while len(follower.book.tops) < 2:  # the snapshot and an update that follows it
                    assert not task.done(), task.exception()
                    await asyncio.sleep(0.02)
            yield follower
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def settled(sims: Simulators, feed: str, symbol: str, book: LocalBook) -> BookView:
    """Pause the market; the true book once the client has caught up with it."""
    sims.pause()
    true = sims.true_book(feed, symbol)
    async with asyncio.timeout(5):
        while book.sequence < true.sequence:
            await asyncio.sleep(0.02)
    return true
