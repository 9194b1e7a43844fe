"""Binance spot and USD-M futures (docs/protocols/binance.md §1, §2).

Combined streams, control messages, REST snapshots and weights.
"""

import asyncio
import time
from functools import partial
from typing import Any, ClassVar

import orjson
from aiohttp import WSMsgType, web

from marketprism.simulator.exchanges.binance.control import ControlError, combined_property, parsed, wanted
from marketprism.simulator.market.book import Window
from marketprism.simulator.market.instrument import SimulatedInstrument, Trade
from marketprism.simulator.market.listings import Listing
from marketprism.simulator.market.prices import STEP
from marketprism.simulator.server.connection import Connection, Limits, Stream, now_ms
from marketprism.simulator.server.exchange_server import ExchangeServer, text_levels

_TOO_MANY = (1008, "Too many requests")


class _DepthStream:
    """One speed of an instrument's diff book."""

    def __init__(self, stream: Stream, window: Window, seconds: float, phase: int) -> None:
        self.stream = stream
        self.window = window
        self.every = round(seconds / STEP)
        self.phase = phase % self.every


class _Board:
    """An instrument with its streams."""

    def __init__(self, server: "BinanceServer", instrument: SimulatedInstrument, phase: int) -> None:
        listing = instrument.listing
        base = listing.exchange_symbol.lower()
        self.instrument = instrument
        self.bbo = server.add_stream(f"{base}@bookTicker", listing, "quotes")
        self.trade = server.add_stream(f"{base}@trade", listing, "trades")
        self.aggregated = server.add_stream(f"{base}@aggTrade", listing, "trades")
        self.depths = [
            _DepthStream(server.add_stream(base + name, listing, "books"), instrument.book.window(), seconds, phase)
            for name, seconds in server.speeds.items()
        ]
        self.top_sent = 0


class BinanceServer(ExchangeServer):
    speeds: ClassVar[dict[str, float]]  # seconds, by the end of the stream's name
    ping_interval: float
    pong_timeout: float
    messages_per_second: int
    weight_per_minute: int
    weight_window = 60  # s
    heartbeat_close = (1008, "Pong timeout")
    prefix: str  # of REST paths
    info_weight: int

    def __init__(self, feed: str, instruments: list[SimulatedInstrument], limits: Limits) -> None:
        super().__init__(feed, instruments, limits)
        self._boards = [_Board(self, instrument, 3 * rank) for rank, instrument in enumerate(instruments)]
        self._weight = 0
        self._window = 0

    # What spot and futures differ in

    def stream_for(self, connection: Connection, name: str) -> Stream | None:
        return self.streams.get(name)

    def listed(self, connection: Connection) -> list[str]:
        return list(connection.streams)

    def book_ticker(self, instrument: SimulatedInstrument) -> dict[str, Any]:
        raise NotImplementedError

    def depth_update(self, instrument: SimulatedInstrument, window: Window) -> dict[str, Any]:
        raise NotImplementedError

    def trade(self, instrument: SimulatedInstrument, trade: Trade) -> dict[str, Any]:
        raise NotImplementedError

    def aggregated_trade(self, instrument: SimulatedInstrument, trade: Trade) -> dict[str, Any]:
        raise NotImplementedError

    def depth_weight(self, limit: str | None) -> tuple[int, int] | None:
        """Levels and weight of a depth request; None: not a limit."""
        raise NotImplementedError

    def depth_times(self) -> dict[str, int]:
        return {}

    def symbol_info(self, listing: Listing) -> dict[str, Any]:
        raise NotImplementedError

    # The market

    def step(self, number: int, rate: float, paused: bool) -> None:
        for board in self._boards:
            instrument = board.instrument
            for trade in () if paused else instrument.step(rate):
                if trade is not None:
                    self.publish(board.trade, partial(self.trade, instrument, trade))
                    self.publish(board.aggregated, partial(self.aggregated_trade, instrument, trade))
                self._publish_top(board)
            self._publish_top(board)  # what an arbitrage moved between the steps
            for depth in board.depths:
                if number % depth.every == depth.phase and depth.window.last:
                    self.publish(depth.stream, partial(self.depth_update, instrument, depth.window))
                    depth.window.restart()

    def _publish_top(self, board: _Board) -> None:
        book = board.instrument.book
        if book.top_sequence != board.top_sent:
            board.top_sent = book.top_sequence
            self.publish(board.bbo, partial(self.book_ticker, board.instrument))

    # WebSocket

    def routes(self) -> list[web.RouteDef]:
        return [
            *(
                web.get(path, self.serve)
                for root in self.roots
                for path in (f"{root}/ws", f"{root}/ws/{{streams:.+}}", f"{root}/stream")
            ),
            web.get(f"{self.prefix}/ping", self._ping),
            web.get(f"{self.prefix}/time", self._time),
            web.get(f"{self.prefix}/exchangeInfo", self._exchange_info),
            web.get(f"{self.prefix}/depth", self._depth),
        ]

    roots: tuple[str, ...] = ("",)

    def on_open(self, connection: Connection) -> None:
        connection.combined = connection.path.endswith("/stream")
        if connection.combined:
            names = connection.query.get("streams", "")
        else:
            names = connection.path.partition("/ws")[2].strip("/")
        for name in filter(None, names.split("/")):
            self.subscribe(connection, name, self.stream_for(connection, name))

    async def watch(self, connection: Connection) -> None:
        """Ping; a client whose pong does not come in time is cut off."""
        interval = self.limits.ping_interval or self.ping_interval
        patience = self.limits.pong_timeout or self.pong_timeout
        sent_at = time.monotonic()
        while True:
            await asyncio.sleep(interval)
            if connection.awaited_pong is None:
                sent_at = time.monotonic()
                connection.awaited_pong = str(now_ms()).encode()
            elif time.monotonic() - sent_at >= patience:
                await connection.close(*self.heartbeat_close)
                return
            connection.send(connection.awaited_pong, WSMsgType.PING, "ping")

    async def on_frame(self, connection: Connection, kind: WSMsgType, data: bytes) -> None:
        if not await self._refused(connection):
            await super().on_frame(connection, kind, data)

    async def _refused(self, connection: Connection) -> bool:
        """Pings, pongs and JSON alike count; who sends too many is cut off."""
        if not connection.too_many(self.limits.messages_per_second or self.messages_per_second):
            return False
        await connection.close(*_TOO_MANY)
        return True

    async def on_text(self, connection: Connection, text: str) -> None:
        if await self._refused(connection):
            return
        request: Any = None
        try:
            request = parsed(text)
            if request["method"] == "SUBSCRIBE" and self.too_frequent():
                await connection.close(*_TOO_MANY)
                return
            connection.answer({"result": self._obey(connection, request), "id": request.get("id")})
        except ControlError as error:
            number = request.get("id") if isinstance(request, dict) else None
            connection.answer({"code": error.code, "msg": str(error)} | ({"id": number} if number is not None else {}))

    def _obey(self, connection: Connection, request: dict[str, Any]) -> Any:
        method, params = request["method"], request.get("params", [])
        if method == "LIST_SUBSCRIPTIONS":
            return self.listed(connection)
        if not isinstance(params, list) or not params:
            raise ControlError(2, "Invalid request: missing field `params`")
        if method in ("SET_PROPERTY", "GET_PROPERTY"):
            return combined_property(connection, method, params)
        if not all(isinstance(name, str) for name in params):
            raise ControlError(2, "Invalid request: stream name must be a string")
        if method == "SUBSCRIBE":
            self._subscribe(connection, params)
        else:
            for name in params:
                self.unsubscribe(connection, name)
        return None

    def _subscribe(self, connection: Connection, names: list[str]) -> None:
        streams = {name: self._offered(connection, name) for name in names}
        if self.refuses(*streams.values()):  # an error is the whole request's: it names no stream
            raise ControlError(2, "Invalid request: the streams cannot be subscribed to")
        for name, stream in streams.items():
            self.subscribe(connection, name, stream)

    def _offered(self, connection: Connection, name: str) -> Stream | None:
        """What is gone is acknowledged like anything else that does not exist."""
        stream = self.stream_for(connection, name)
        return None if stream is not None and self.is_gone(stream.symbol) else stream

    def wrap(self, connection: Connection, stream: Stream, body: bytes) -> bytes:
        return b'{"stream":"%b","data":%b}' % (stream.name.encode(), body) if connection.combined else body

    def announce_shutdown(self, connection: Connection) -> None:
        body: dict[str, Any] = {"e": "serverShutdown", "E": self.now_ms()}
        connection.answer({"stream": "!serverShutdown", "data": body} if connection.combined else body)

    # REST

    def _weigh(self, weight: int) -> web.Response | None:
        """Count a request's weight; an answer if it was too much."""
        window, second = divmod(int(time.time()), self.weight_window)
        self._weight = weight + (self._weight if window == self._window else 0)
        self._window = window
        if self._weight <= (self.limits.weight_per_minute or self.weight_per_minute):
            return None
        return self.rate_limited(429, self.weight_window - second)

    def rate_limited(self, status: int, retry_after: int) -> web.Response:
        text = "Too much request weight used; please use WebSocket Streams for live updates to avoid polling the API."
        if status == 418:
            text = f"Way too many requests; IP banned until {now_ms() + 1000 * retry_after}."
        return self._json({"code": -1003, "msg": text}, status, {"Retry-After": str(retry_after)})

    def _json(self, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
        used = {"X-MBX-USED-WEIGHT-1M": str(self._weight)} | (headers or {})
        return web.Response(body=orjson.dumps(body), status=status, headers=used, content_type="application/json")

    def _error(self, code: int, text: str) -> web.Response:
        return self._json({"code": code, "msg": text}, 400)

    async def _ping(self, request: web.Request) -> web.Response:
        return self._weigh(1) or self._json({})

    async def _time(self, request: web.Request) -> web.Response:
        return self._weigh(1) or self._json({"serverTime": now_ms()})

    async def _exchange_info(self, request: web.Request) -> web.Response:
        if refused := self._weigh(self.info_weight):
            return refused
        names = wanted(request)
        symbols = [row for row in self.entries(self.symbol_info) if names is None or row["symbol"] in names]
        if names is not None and len(symbols) < len(set(names)):
            return self._error(-1121, "Invalid symbol.")
        limit = {
            "rateLimitType": "REQUEST_WEIGHT",
            "interval": "MINUTE",
            "intervalNum": 1,
            "limit": self.limits.weight_per_minute or self.weight_per_minute,
        }
        return self._json({"timezone": "UTC", "serverTime": now_ms(), "rateLimits": [limit], "symbols": symbols})

    async def _depth(self, request: web.Request) -> web.Response:
        asked = self.depth_weight(request.query.get("limit"))
        if asked is None:
            return self._weigh(1) or self._error(-1130, "Data sent for parameter 'limit' is not valid.")
        levels, weight = asked
        if refused := self._weigh(weight):
            return refused
        if "symbol" not in request.query:
            return self._error(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        instrument = self.by_name.get(request.query["symbol"])
        if instrument is None or self.is_gone(instrument.listing.symbol):
            return self._error(-1121, "Invalid symbol.")
        book, listing = instrument.book, instrument.listing
        sides = {
            "bids": text_levels(listing, book.bids.top(levels)),
            "asks": text_levels(listing, book.asks.top(levels)),
        }
        return self._json({"lastUpdateId": book.sequence} | self.depth_times() | sides)

    # Faults

    def frame_ids(self, payload: dict[str, Any]) -> dict[str, int]:
        return {name: payload[name] for name in ("U", "u", "pu") if name in payload}

    def sides(self, payload: dict[str, Any]) -> tuple[list[Any], list[Any]]:
        return payload["b"], payload["a"]

    def empty(self, payload: dict[str, Any]) -> None:
        payload["b"], payload["a"] = [[]], [[]]

    def unknown(self, symbol: str) -> dict[str, Any]:
        return {"e": "mystery", "E": self.now_ms(), "s": self.instruments[symbol].listing.exchange_symbol}
