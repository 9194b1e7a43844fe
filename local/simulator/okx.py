"""OKX v5 public and business sockets as PROTOCOLS §3 has them."""

import time
from collections.abc import Iterable
from typing import Any

import orjson
from aiohttp import web

from local.simulator.market import Changes, Level, Listing, TrueBook
from local.simulator.server import Client, SimulatedExchange

_IDLE = 30.0  # seconds without traffic until the server cuts a connection
_PUBLIC = {"trades", "books", "bbo-tbt"}


def _now() -> str:
    return str(time.time_ns() // 1_000_000)


def _levels(side: list[Level]) -> list[list[str]]:
    return [[price, amount, "0", "1"] for price, amount in side]


class Okx(SimulatedExchange):
    feed = "okx"
    delay = 0
    listings = (
        Listing("BTC-USDT", "BTC-USDT", "0.1", "0.00000001", size=0.5),
        Listing("ETH-USDT", "ETH-USDT", "0.01", "0.000001", size=8.0),
        Listing("BTC-USDT-PERP", "BTC-USDT-SWAP", "0.1", "0.01", "0.01", size=200.0),
        Listing("ETH-USDT-PERP", "ETH-USDT-SWAP", "0.01", "0.01", "0.1", size=200.0),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pushed: dict[TrueBook, int] = {}

    def routes(self) -> Iterable[web.RouteDef]:
        return [
            web.get("/ws/v5/public", self.stream),
            web.get("/ws/v5/business", self.stream),
            web.get("/api/v5/public/instruments", self.instruments),
            web.get("/api/v5/public/time", self.server_time),
            web.get("/api/v5/market/books", self.rest_books),
        ]

    async def stream(self, request: web.Request) -> web.StreamResponse:
        return await self.socket(request, heartbeat=None, idle=_IDLE)

    def on_open(self, client: Client, request: web.Request) -> None:
        return

    async def on_message(self, client: Client, text: str) -> None:
        if text == "ping":
            client.queue.put_nowait(b"pong")
            return
        try:
            body = orjson.loads(text)
            operation, args = body["op"], body["args"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            self._error(client, "", "60012", "Invalid request: malformed")
            return
        for arg in args:
            self._operate(client, operation, arg, str(body.get("id", "")))

    def _operate(self, client: Client, operation: str, arg: dict[str, str], request: str) -> None:
        name = f"{arg.get('channel')}:{arg.get('instId')}"
        if operation not in ("subscribe", "unsubscribe"):
            self._error(client, request, "60019", f"Invalid op: {operation}")
        elif (
            arg.get("channel") not in _PUBLIC or not client.path.endswith("public") or arg["instId"] not in self.by_name
        ):
            self._error(client, request, "60018", f"Wrong URL or {name} doesn't exist. Please use the correct URL.")
        else:
            client.queue.put_nowait(orjson.dumps({"id": request, "event": operation, "arg": arg, "connId": "0f1e2d3c"}))
            if operation == "unsubscribe":
                client.names.discard(name)
            else:
                self._subscribe(client, name, arg)

    def _subscribe(self, client: Client, name: str, arg: dict[str, str]) -> None:
        client.names.add(name)
        if arg["channel"] == "books":
            book = self.by_name[arg["instId"]]
            self._pushed.setdefault(book, book.sequence)
            client.queue.put_nowait(self._book(book, "snapshot", -1, *book.levels(400)))

    def _error(self, client: Client, request: str, code: str, text: str) -> None:
        client.queue.put_nowait(
            orjson.dumps({"id": request, "event": "error", "code": code, "msg": text, "connId": "0f1e2d3c"})
        )

    # Frames

    def advance(self, book: TrueBook) -> None:
        book.sequence += self.random.randint(1, 9)

    def _frame(self, book: TrueBook, channel: str, row: dict[str, Any], **more: str) -> tuple[str, bytes]:
        arg = {"channel": channel, "instId": book.listing.exchange_symbol}
        return f"{channel}:{arg['instId']}", orjson.dumps({"arg": arg, **more, "data": [row]})

    def _book(self, book: TrueBook, action: str, previous: int, bids: list[Level], asks: list[Level]) -> bytes:
        row = {"asks": _levels(asks), "bids": _levels(bids), "ts": _now(), "checksum": 0}
        ids = {"prevSeqId": previous, "seqId": book.sequence}
        return self._frame(book, "books", row | ids, action=action)[1]

    def book_frame(self, book: TrueBook, changes: Changes) -> tuple[str, bytes]:
        previous, self._pushed[book] = self._pushed.get(book, book.sequence), book.sequence
        bids, asks = book.written(list(changes.bids.items())), book.written(list(changes.asks.items()))
        return f"books:{book.listing.exchange_symbol}", self._book(book, "update", previous, bids, asks)

    def quote_frame(self, book: TrueBook) -> tuple[str, bytes]:
        bids, asks = book.levels(1)
        row = {"asks": _levels(asks), "bids": _levels(bids), "ts": _now(), "seqId": book.sequence}
        return self._frame(book, "bbo-tbt", row)

    def trade_frame(self, book: TrueBook) -> tuple[str, bytes]:
        price, amount, side = book.trade()
        row = {"instId": book.listing.exchange_symbol, "tradeId": str(book.trade_id), "px": price, "sz": amount}
        more = {"side": side, "ts": _now(), "count": "1", "source": "0", "seqId": book.sequence}
        return self._frame(book, "trades", row | more)

    # REST

    async def server_time(self, request: web.Request) -> web.Response:
        return _data([{"ts": _now()}])

    async def instruments(self, request: web.Request) -> web.Response:
        kind = request.query.get("instType", "")
        rows = [self._instrument(book.listing) for book in self.books.values()]
        return _data([row for row in rows if row["instType"] == kind])

    def _instrument(self, listing: Listing) -> dict[str, str]:
        swap = listing.exchange_symbol.endswith("-SWAP")
        base, quote = listing.symbol.split("-")[:2]
        return {
            "instType": "SWAP" if swap else "SPOT",
            "instId": listing.exchange_symbol,
            "uly": f"{base}-{quote}" if swap else "",
            "baseCcy": "" if swap else base,
            "quoteCcy": "" if swap else quote,
            "settleCcy": quote if swap else "",
            "ctVal": listing.contract_size if swap else "",
            "ctMult": "1" if swap else "",
            "ctValCcy": base if swap else "",
            "ctType": "linear" if swap else "",
            "tickSz": listing.tick,
            "lotSz": listing.lot,
            "state": "live",
            "ruleType": "normal",
        }

    async def rest_books(self, request: web.Request) -> web.Response:
        book = self.by_name.get(request.query.get("instId", ""))
        if book is None:
            return web.json_response({"code": "51001", "msg": "Instrument ID does not exist", "data": []})
        bids, asks = book.levels(int(request.query.get("sz", 1)))
        return _data([{"asks": _levels(asks), "bids": _levels(bids), "ts": _now(), "seqId": book.sequence}])


def _data(rows: list[Any]) -> web.Response:
    return web.json_response({"code": "0", "msg": "", "data": rows})
