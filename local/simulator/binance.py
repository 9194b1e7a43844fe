"""Binance spot and USD-M futures as PROTOCOLS §1 and §2 have them."""

import time
from collections import deque
from collections.abc import Iterable
from typing import Any

import orjson
from aiohttp import WSCloseCode, web

from local.simulator.market import Changes, Listing, TrueBook
from local.simulator.server import Client, SimulatedExchange

_PING = 20.0  # seconds; spot's cadence, well within the futures'


def _now() -> int:
    return time.time_ns() // 1_000_000


class _Binance(SimulatedExchange):
    messages_per_second: int
    prefix: str  # of REST paths
    weight_limit: int

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._incoming: dict[Client, deque[float]] = {}
        self._weights: deque[tuple[float, int]] = deque()

    def routes(self) -> Iterable[web.RouteDef]:
        return [
            web.get(f"{self.prefix}/depth", self.depth),
            web.get(f"{self.prefix}/exchangeInfo", self.exchange_info),
            web.get(f"{self.prefix}/time", self.server_time),
            *[web.get(path, self.stream) for path in self.paths()],
        ]

    def paths(self) -> list[str]:
        raise NotImplementedError

    def serves(self, client: Client, name: str) -> bool:
        """Whether frames of a stream come on this client's path at all."""
        raise NotImplementedError

    async def stream(self, request: web.Request) -> web.StreamResponse:
        return await self.socket(request, heartbeat=_PING, idle=None)

    def on_open(self, client: Client, request: web.Request) -> None:
        client.wrapped = "/stream" in request.path
        named = request.query.get("streams", "") or request.match_info.get("name", "")
        self._subscribe(client, [name for name in named.split("/") if name])

    def _subscribe(self, client: Client, names: list[str]) -> None:
        client.names |= {name for name in names if self.serves(client, name)}

    async def on_message(self, client: Client, text: str) -> None:
        if self._too_many(client):
            await client.socket.close(code=WSCloseCode.POLICY_VIOLATION)
            return
        client.queue.put_nowait(orjson.dumps(self._answer(client, text)))

    def _too_many(self, client: Client) -> bool:
        times = self._incoming.setdefault(client, deque(maxlen=self.messages_per_second + 1))
        times.append(time.monotonic())
        return len(times) > self.messages_per_second and times[-1] - times[0] < 1

    def _answer(self, client: Client, text: str) -> dict[str, Any]:
        try:
            body = orjson.loads(text)
        except orjson.JSONDecodeError:
            return {"code": 3, "msg": "Invalid JSON"}
        if not isinstance(body, dict) or "method" not in body:
            return {"code": 2, "msg": "Invalid request: request ID must be an unsigned integer"}
        request, names = body.get("id"), body.get("params", [])
        if body["method"] == "SUBSCRIBE":
            self._subscribe(client, names)
            return {"result": None, "id": request}
        if body["method"] == "UNSUBSCRIBE":
            client.names -= set(names)
            return {"result": None, "id": request}
        if body["method"] == "LIST_SUBSCRIPTIONS":
            return {"result": sorted(client.names), "id": request}
        return {"code": 2, "msg": f"Invalid request: unknown variant `{body['method']}`", "id": request}

    # Frames

    def _frame(self, name: str, body: dict[str, Any]) -> tuple[str, bytes]:
        return name, orjson.dumps({"stream": name, "data": body})

    def _name(self, book: TrueBook, stream: str) -> str:
        return f"{book.listing.exchange_symbol.lower()}@{stream}"

    # REST

    async def server_time(self, request: web.Request) -> web.Response:
        return web.json_response({"serverTime": _now()})

    async def depth(self, request: web.Request) -> web.Response:
        if refused := self._weigh(50):
            return refused
        book = self.by_name.get(request.query.get("symbol", ""))
        if book is None:
            return web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)
        bids, asks = book.levels(int(request.query.get("limit", 100)))
        body = {"lastUpdateId": book.sequence, **self.snapshot_times(), "bids": bids, "asks": asks}
        return web.Response(body=orjson.dumps(body), content_type="application/json")

    def snapshot_times(self) -> dict[str, int]:
        return {}

    def _weigh(self, weight: int) -> web.Response | None:
        now = time.monotonic()
        while self._weights and now - self._weights[0][0] > 60:
            self._weights.popleft()
        self._weights.append((now, weight))
        if sum(used for _, used in self._weights) <= self.weight_limit:
            return None
        return web.json_response(
            {"code": -1003, "msg": "Too much request weight used."}, status=429, headers={"Retry-After": "1"}
        )

    async def exchange_info(self, request: web.Request) -> web.Response:
        return web.json_response({"timezone": "UTC", "serverTime": _now(), "symbols": self._symbols()})

    def _symbols(self) -> list[dict[str, Any]]:
        return [self._symbol(book.listing) for book in self.books.values()]

    def _symbol(self, listing: Listing) -> dict[str, Any]:
        base, quote = listing.symbol.split("-")[:2]
        return {
            "symbol": listing.exchange_symbol,
            "status": "TRADING",
            "baseAsset": base,
            "quoteAsset": quote,
            "filters": [
                {"filterType": "PRICE_FILTER", "tickSize": f"{float(listing.tick):.8f}"},
                {"filterType": "LOT_SIZE", "stepSize": f"{float(listing.lot):.8f}"},
            ],
        }


class BinanceSpot(_Binance):
    feed = "binance-spot"
    prefix = "/api/v3"
    messages_per_second = 5
    weight_limit = 6000
    delay = 1
    listings = (
        Listing("BTC-USDT", "BTCUSDT", "0.01", "0.00001", size=0.5),
        Listing("ETH-USDT", "ETHUSDT", "0.01", "0.0001", size=8.0),
    )

    def paths(self) -> list[str]:
        return ["/stream", "/ws", "/ws/{name}"]

    def serves(self, client: Client, name: str) -> bool:
        return True

    def advance(self, book: TrueBook) -> None:
        book.sequence += self.random.randint(1, 4)

    def book_frame(self, book: TrueBook, changes: Changes) -> tuple[str, bytes]:
        first, self._last[book] = self._last.get(book, book.sequence - 1) + 1, book.sequence
        body = {"e": "depthUpdate", "E": _now(), "s": book.listing.exchange_symbol, "U": first, "u": book.sequence}
        sides = {"b": book.written(list(changes.bids.items())), "a": book.written(list(changes.asks.items()))}
        return self._frame(self._name(book, "depth@100ms"), body | sides)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._last: dict[TrueBook, int] = {}

    def quote_frame(self, book: TrueBook) -> tuple[str, bytes]:
        ([bid], [ask]) = book.levels(1)
        body = {"u": book.sequence, "s": book.listing.exchange_symbol}
        return self._frame(self._name(book, "bookTicker"), body | dict(zip("bBaA", (*bid, *ask), strict=True)))

    def trade_frame(self, book: TrueBook) -> tuple[str, bytes]:
        price, amount, side = book.trade()
        body = {"e": "trade", "E": _now(), "s": book.listing.exchange_symbol, "t": book.trade_id, "p": price}
        more = {"q": amount, "T": _now(), "m": side == "sell", "M": True}
        return self._frame(self._name(book, "trade"), body | more)


class BinanceUsdm(_Binance):
    feed = "binance-usdm"
    prefix = "/fapi/v1"
    messages_per_second = 10
    weight_limit = 2400
    delay = 2
    listings = (
        Listing("BTC-USDT-PERP", "BTCUSDT", "0.1", "0.001", size=2.0),
        Listing("ETH-USDT-PERP", "ETHUSDT", "0.01", "0.001", size=20.0),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._last: dict[TrueBook, int] = {}

    def paths(self) -> list[str]:
        return [f"/{side}/{kind}" for side in ("public", "market") for kind in ("stream", "ws", "ws/{name}")]

    def serves(self, client: Client, name: str) -> bool:
        # A stream on the wrong path, or one that does not exist, is acknowledged and stays silent.
        public = name.split("@")[-1] in ("bookTicker", "trade") or "@depth" in name
        return client.path.startswith("/public") == public

    def advance(self, book: TrueBook) -> None:
        book.sequence += self.random.randint(1, 60)

    def snapshot_times(self) -> dict[str, int]:
        return {"E": _now(), "T": _now()}

    def _symbol(self, listing: Listing) -> dict[str, Any]:
        extra = {"pair": listing.exchange_symbol, "contractType": "PERPETUAL", "marginAsset": "USDT"}
        return super()._symbol(listing) | extra | {"deliveryDate": 4133404800000}

    def _event(self, kind: str, book: TrueBook) -> dict[str, Any]:
        return {"e": kind, "E": _now(), "T": _now(), "s": book.listing.exchange_symbol, "st": 1}

    def book_frame(self, book: TrueBook, changes: Changes) -> tuple[str, bytes]:
        previous, self._last[book] = self._last.get(book, book.sequence - 1), book.sequence
        first = min(previous + 1 + self.random.randint(0, 20), book.sequence)
        ids = {"U": first, "u": book.sequence, "pu": previous}
        sides = {"b": book.written(list(changes.bids.items())), "a": book.written(list(changes.asks.items()))}
        return self._frame(self._name(book, "depth@100ms"), self._event("depthUpdate", book) | ids | sides)

    def quote_frame(self, book: TrueBook) -> tuple[str, bytes]:
        ([bid], [ask]) = book.levels(1)
        body = self._event("bookTicker", book) | {"u": book.sequence}
        return self._frame(self._name(book, "bookTicker"), body | dict(zip("bBaA", (*bid, *ask), strict=True)))

    def trade_frame(self, book: TrueBook) -> tuple[str, bytes]:
        price, amount, side = book.trade()
        body = {"t": book.trade_id, "p": price, "q": amount, "X": "MARKET", "m": side == "sell"}
        return self._frame(self._name(book, "trade"), self._event("trade", book) | body)
