"""Plain clients of the simulated exchanges, which send requests and follow the documented procedures."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

import aiohttp
import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from marketprism.simulator import BookView, Simulators
from tests.simulator.local_book import LocalBook, texts

PATHS = {
    "binance-spot": "/stream",
    "binance-usdm": "/public/stream",
    "binance-coinm": "/stream",
    "okx": "/ws/v5/public",
    "deribit": "/ws/api/v2",
}
TIMES = {
    "binance-spot": "/api/v3/time",
    "binance-usdm": "/fapi/v1/time",
    "binance-coinm": "/dapi/v1/time",
    "okx": "/api/v5/public/time",
    "deribit": "/api/v2/public/get_time",
}
NAMES = {
    ("binance-spot", "BTC-USDT"): "BTCUSDT",
    ("binance-usdm", "BTC-USDT-PERP"): "BTCUSDT",
    ("binance-coinm", "BTC-USD-PERP"): "BTCUSD_PERP",
    ("binance-coinm", "BTC-USD-261225"): "BTCUSD_261225",
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
    """Return the next frame for which `wanted` holds, parsed."""
    async with asyncio.timeout(5):
        while True:
            body = orjson.loads(await socket.recv())
            if wanted(body):
                return body


class Closed(NamedTuple):
    """Codes of the close frames received and sent; None if there was none."""

    rcvd_code: int | None
    sent_code: int | None


async def closed(socket: ClientConnection) -> Closed:
    """Read until the connection is closed, and return the codes."""
    async with asyncio.timeout(5):
        try:
            while True:
                await socket.recv()
        except ConnectionClosed as error:
            return Closed(error.rcvd.code if error.rcvd else None, error.sent.code if error.sent else None)


async def send(socket: ClientConnection, body: Any) -> None:
    """Send a control message: text unchanged, anything else as JSON."""
    await socket.send(body if isinstance(body, str) else orjson.dumps(body).decode())


async def command(socket: ClientConnection, body: Any) -> Any:
    """Send a control message and return the answer."""
    await send(socket, body)
    return await receive(socket, lambda answer: not {"stream", "data", "e", "method"} & set(answer))


async def get(sims: Simulators, feed: str, path: str, **query: Any) -> tuple[int, Any, Any]:
    """Send a REST request and return status, body and headers."""
    async with (
        aiohttp.ClientSession() as http,
        http.get(sims.endpoints[feed]["rest"] + path, params=query) as answer,
    ):
        return answer.status, orjson.loads(await answer.read()), answer.headers


def subscription(feed: str, symbol: str, *channels: str) -> dict[str, Any]:
    """Return a request to subscribe to `channels`: trades, books, bbo."""
    name = NAMES[feed, symbol]
    if feed == "okx":
        known = {"trades": "trades", "books": "books", "bbo": "bbo-tbt"}
        return {"op": "subscribe", "args": [{"channel": known[channel], "instId": name} for channel in channels]}
    if feed == "deribit":
        known = {"trades": f"trades.{name}.100ms", "books": f"book.{name}.100ms", "bbo": f"quote.{name}"}
        return rpc("subscribe", channels=[known[channel] for channel in channels])
    known = {"trades": "trade", "books": "depth@100ms", "bbo": "bookTicker"}
    return {"method": "SUBSCRIBE", "params": [f"{name.lower()}@{known[channel]}" for channel in channels], "id": 1}


async def subscribe(socket: ClientConnection, feed: str, symbol: str, *channels: str) -> Any:
    """Subscribe to channels, and return the answer."""
    return await command(socket, subscription(feed, symbol, *channels))


def rpc(method: str, **params: Any) -> dict[str, Any]:
    """Return a request to Deribit."""
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
    """Return a frame's channel, trades, books or quotes; "" if it has no data."""
    if frame.get("method") == "subscription":
        return CHANNELS.get(frame["params"]["channel"].split(".")[0], "")
    if "data" not in frame:
        return ""
    name = frame["stream"].split("@")[1] if "stream" in frame else frame["arg"]["channel"]
    return CHANNELS.get(name, "")


async def listen(socket: ClientConnection, seconds: float) -> list[str]:
    """Return the channels of the data frames received within `seconds`."""
    seen = []
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                seen.append(channel_of(orjson.loads(await socket.recv())))
    return [channel for channel in seen if channel]


class Follower:
    """Client that rebuilds one instrument's book from the socket and, where the exchange requires it, from REST."""

    def __init__(self, sims: Simulators, feed: str, symbol: str) -> None:
        self.book = LocalBook(feed, symbol)
        self.bbos: list[tuple[int, tuple[str, ...]]] = []
        self.other: list[Any] = []
        self._sims = sims
        self._socket: ClientConnection | None = None

    async def run(self, socket: ClientConnection) -> None:
        """Subscribe, synchronise, and apply updates until cancelled."""
        await send(socket, subscription(self.book.feed, self.book.symbol, "books", "bbo", "trades"))
        buffered = await self._seed(socket) if self.book.feed.startswith("binance") else []
        for event in buffered:
            self._on(event)
        async for frame in socket:
            self._on(orjson.loads(frame))

    async def _seed(self, socket: ClientConnection) -> list[Any]:
        """Buffer updates, and fetch snapshots until one is as new (docs/protocols/binance.md §1.5, §2.4)."""
        frames = [await receive(socket, lambda body: body.get("data", {}).get("e") == "depthUpdate")]
        prefix = {"binance-spot": "/api/v3", "binance-usdm": "/fapi/v1", "binance-coinm": "/dapi/v1"}[self.book.feed]
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
            self.book.update(body)
        elif "B" in body:
            self.bbos.append((body["u"], (body["b"], body["B"], body["a"], body["A"])))
        else:
            self.other.append(body)

    def _on_okx(self, frame: Any) -> None:
        channel = frame.get("arg", {}).get("channel")
        if channel == "books" and "data" in frame:
            self.book.update(frame)
        elif channel == "bbo-tbt" and "data" in frame:
            [row] = frame["data"]
            self.bbos.append((row["seqId"], (*row["bids"][0][:2], *row["asks"][0][:2])))
        else:
            self.other.append(frame)

    def _on_deribit(self, frame: Any) -> None:
        channel, data = channel_of(frame), frame.get("params", {}).get("data")
        if channel == "books":
            self.book.update(data)
        elif channel == "quotes":
            bid, ask = (texts(data[f"best_{side}_price"], data[f"best_{side}_amount"]) for side in ("bid", "ask"))
            self.bbos.append((-1, (*bid, *ask)))  # Deribit's BBO has no id
        else:
            self.other.append(frame)


@asynccontextmanager
async def following(sims: Simulators, feed: str, symbol: str) -> AsyncIterator[Follower]:
    follower = Follower(sims, feed, symbol)
    async with opened(sims, feed) as socket:
        task = asyncio.create_task(follower.run(socket))
        try:
            async with asyncio.timeout(5):
                while len(follower.book.tops) < 2:  # the snapshot and the first update after it
                    assert not task.done(), task.exception()
                    await asyncio.sleep(0.02)
            yield follower
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def settled(sims: Simulators, feed: str, symbol: str, book: LocalBook) -> BookView:
    """Pause the market, wait until the client has caught up, and return the true book."""
    sims.pause()
    true = sims.true_book(feed, symbol)
    async with asyncio.timeout(5):
        while book.sequence < true.sequence:
            await asyncio.sleep(0.02)
    return true
