"""Simulated Binance, spot, USD-M and COIN-M futures (docs/protocols/binance.md §1, §2).

Streams, control messages, REST and its weights.
"""

import asyncio
import time
from functools import partial
from typing import Any, ClassVar

from aiohttp import WSMsgType, web

from marketprism.simulator.exchanges.binance import frames
from marketprism.simulator.exchanges.binance.board import BinanceBoard
from marketprism.simulator.exchanges.binance.control import (
    ControlError,
    combined_property,
    parse_request,
    requested_symbols,
)
from marketprism.simulator.market.book import Window
from marketprism.simulator.market.instrument import SimulatedInstrument, Trade
from marketprism.simulator.market.listings import Listing
from marketprism.simulator.server.connection import Connection, Limits, Stream, now_ms
from marketprism.simulator.server.exchange_server import ExchangeServer, json_response

_TOO_MANY = (1008, "Too many requests")


class BinanceServer(ExchangeServer):
    """What spot and futures have in common."""

    speeds: ClassVar[dict[str, float]]  # seconds between two book updates, by the suffix of the stream's name
    mark_speeds: ClassVar[dict[str, float]] = {}  # the same for mark prices
    ping_interval: float
    pong_timeout: float
    messages_per_second: int
    weight_per_minute: int
    weight_window = 60  # s
    heartbeat_close = (1008, "Pong timeout")
    roots: tuple[str, ...] = ("",)  # of WebSocket paths
    prefix: str  # of REST paths
    info_weight: int

    def __init__(self, feed: str, instruments: list[SimulatedInstrument], limits: Limits) -> None:
        super().__init__(feed, instruments, limits)
        self._boards = [
            BinanceBoard(self, each, 3 * rank, self.speeds, self.mark_speeds) for rank, each in enumerate(instruments)
        ]
        self._weight = 0
        self._window = 0

    # The differences between spot and futures

    def stream_for(self, connection: Connection, name: str) -> Stream | None:
        """Return the stream that this name means on a connection; None: acknowledged, but without data."""
        return self.streams.get(name)

    def listed_subscriptions(self, connection: Connection) -> list[str]:
        """Return the answer to `LIST_SUBSCRIPTIONS`."""
        return list(connection.streams)

    def book_ticker(self, instrument: SimulatedInstrument) -> dict[str, Any]:
        """Return the event of a changed BBO."""
        raise NotImplementedError

    def depth_update(self, instrument: SimulatedInstrument, window: Window) -> dict[str, Any]:
        """Return the event of a window's changes."""
        raise NotImplementedError

    def trade(self, instrument: SimulatedInstrument, trade: Trade) -> dict[str, Any]:
        """Return the event of a trade."""
        raise NotImplementedError

    def aggregated_trade(self, instrument: SimulatedInstrument, trade: Trade) -> dict[str, Any]:
        """Return the event of an aggregated trade."""
        raise NotImplementedError

    def mark_price(self, instrument: SimulatedInstrument) -> dict[str, Any]:
        """Return the event of a mark price."""
        raise NotImplementedError

    def depth_weight(self, limit: str | None) -> tuple[int, int] | None:
        """Return levels and weight of a depth request; None: invalid limit."""
        raise NotImplementedError

    def snapshot_times(self) -> dict[str, int]:
        """Return the times that a snapshot has."""
        return {}

    def symbol_info(self, listing: Listing) -> dict[str, Any]:
        """Return a symbol of exchangeInfo."""
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
            self._publish_top(board)  # an arbitrage may have moved the book between two steps
            for depth in board.depths:
                if board.is_due(number, depth.interval) and depth.window.last:
                    self.publish(depth.stream, partial(self.depth_update, instrument, depth.window))
                    depth.window.reset()
            for stream, interval in board.marks:
                if board.is_due(number, interval):
                    self.publish(stream, partial(self.mark_price, instrument))

    def _publish_top(self, board: BinanceBoard) -> None:
        if board.top_changed():
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

    def on_open(self, connection: Connection) -> None:
        connection.combined = connection.path.endswith("/stream")
        if connection.combined:
            names = connection.query.get("streams", "")
        else:
            names = connection.path.partition("/ws")[2].strip("/")
        for name in filter(None, names.split("/")):
            self.subscribe(connection, name, self.stream_for(connection, name))

    async def enforce_heartbeat(self, connection: Connection) -> None:
        """Ping, and disconnect a client whose pong does not arrive in time."""
        interval = self.limits.ping_interval or self.ping_interval
        timeout = self.limits.pong_timeout or self.pong_timeout
        sent_at = time.monotonic()
        while True:
            await asyncio.sleep(interval)
            if connection.expected_pong is None:
                sent_at = time.monotonic()
                connection.expected_pong = str(now_ms()).encode()
            elif time.monotonic() - sent_at >= timeout:
                await connection.close(*self.heartbeat_close)
                return
            connection.send(connection.expected_pong, WSMsgType.PING, "ping")

    async def on_frame(self, connection: Connection, kind: WSMsgType, data: bytes) -> None:
        if not await self._exceeds_rate(connection):
            await super().on_frame(connection, kind, data)

    async def _exceeds_rate(self, connection: Connection) -> bool:
        """Count a ping, pong or JSON message, and disconnect a client that sends too many."""
        if not connection.exceeds_rate(self.limits.messages_per_second or self.messages_per_second):
            return False
        await connection.close(*_TOO_MANY)
        return True

    async def on_text(self, connection: Connection, text: str) -> None:
        if await self._exceeds_rate(connection):
            return
        request: Any = None
        try:
            request = parse_request(text)
            if request["method"] == "SUBSCRIBE" and self.exceeds_subscribe_limit():
                await connection.close(*_TOO_MANY)
                return
            connection.send_json({"result": self._execute(connection, request), "id": request.get("id")})
        except ControlError as error:
            request_id = request.get("id") if isinstance(request, dict) else None
            named = {"id": request_id} if request_id is not None else {}
            connection.send_json({"code": error.code, "msg": str(error)} | named)

    def _execute(self, connection: Connection, request: dict[str, Any]) -> Any:
        """Carry out a request and return its result."""
        method, params = request["method"], request.get("params", [])
        if method == "LIST_SUBSCRIPTIONS":
            return self.listed_subscriptions(connection)
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
        if self.rejects(*streams.values()):  # an error names no stream, so it rejects the whole request
            raise ControlError(2, "Invalid request: the streams cannot be subscribed to")
        for name, stream in streams.items():
            self.subscribe(connection, name, stream)

    def _offered(self, connection: Connection, name: str) -> Stream | None:
        """Return the named stream; None if it does not exist any more, which is acknowledged all the same."""
        stream = self.stream_for(connection, name)
        return None if stream is not None and self.is_gone(stream.symbol) else stream

    def wrap(self, connection: Connection, stream: Stream, body: bytes) -> bytes:
        return b'{"stream":"%b","data":%b}' % (stream.name.encode(), body) if connection.combined else body

    def announce_shutdown(self, connection: Connection) -> None:
        body: dict[str, Any] = {"e": "serverShutdown", "E": self.now_ms()}
        connection.send_json(frames.combined("!serverShutdown", body) if connection.combined else body)

    # REST

    def _spend(self, weight: int) -> web.Response | None:
        """Count a request's weight; return the error response if that exceeds the limit."""
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
        return json_response(body, status, used)

    def _error(self, code: int, text: str) -> web.Response:
        return self._json({"code": code, "msg": text}, 400)

    async def _ping(self, request: web.Request) -> web.Response:
        return self._spend(1) or self._json({})

    async def _time(self, request: web.Request) -> web.Response:
        return self._spend(1) or self._json({"serverTime": now_ms()})

    async def _exchange_info(self, request: web.Request) -> web.Response:
        if rejection := self._spend(self.info_weight):
            return rejection
        names = requested_symbols(request)
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
        accepted = self.depth_weight(request.query.get("limit"))
        if accepted is None:
            return self._spend(1) or self._error(-1130, "Data sent for parameter 'limit' is not valid.")
        levels, weight = accepted
        if rejection := self._spend(weight):
            return rejection
        if "symbol" not in request.query:
            return self._error(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        instrument = self.by_exchange_symbol.get(request.query["symbol"])
        if instrument is None or self.is_gone(instrument.listing.symbol):
            return self._error(-1121, "Invalid symbol.")
        book, listing = instrument.book, instrument.listing
        bids, asks = (frames.text_levels(listing, side.top(levels)) for side in book.sides())
        return self._json(frames.snapshot(book.sequence, bids, asks, self.snapshot_times()))

    # Faults

    def frame_ids(self, payload: dict[str, Any]) -> dict[str, int]:
        return {name: payload[name] for name in ("U", "u", "pu") if name in payload}

    def sides(self, payload: dict[str, Any]) -> tuple[list[Any], list[Any]]:
        return payload["b"], payload["a"]

    def empty_arrays(self, payload: dict[str, Any]) -> None:
        payload["b"], payload["a"] = [[]], [[]]

    def unknown_frame(self, symbol: str) -> dict[str, Any]:
        return {"e": "mystery", "E": self.now_ms(), "s": self.instruments[symbol].listing.exchange_symbol}
