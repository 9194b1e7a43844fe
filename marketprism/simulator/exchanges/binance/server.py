"""Simulated Binance, spot, USD-M and COIN-M futures (docs/protocols/binance.md §1, §2).

Streams and control messages.
"""

import asyncio
import time
from functools import partial
from typing import Any, ClassVar

from aiohttp import WSMsgType, web

from marketprism.simulator.exchanges.binance import figures, frames
from marketprism.simulator.exchanges.binance.board import BinanceBoard, PartialDepth
from marketprism.simulator.exchanges.binance.candles import INTERVALS, RunningCandles
from marketprism.simulator.exchanges.binance.control import ControlError, combined_property, parse_request
from marketprism.simulator.exchanges.binance.rest import BinanceRest
from marketprism.simulator.market.book import Window
from marketprism.simulator.market.instrument import SimulatedInstrument, Trade
from marketprism.simulator.market.listings import Listing
from marketprism.simulator.server.connection import Connection, Limits, Stream, now_ms
from schemas.channels import candles_of

_TOO_MANY = (1008, "Too many requests")


class BinanceServer(BinanceRest):
    """What spot and futures have in common."""

    intervals: ClassVar[tuple[str, ...]] = tuple(name for name in INTERVALS if name != "1s")
    speeds: ClassVar[dict[str, float]]  # seconds between two book updates, by the suffix of the stream's name
    ticker_s: float  # seconds between two tickers
    kline_s: float  # seconds between two updates of a candle
    ping_interval: float
    pong_timeout: float
    messages_per_second: int
    heartbeat_close = (1008, "Pong timeout")
    roots: tuple[str, ...] = ("",)  # of WebSocket paths

    def __init__(self, feed: str, instruments: list[SimulatedInstrument], limits: Limits) -> None:
        super().__init__(feed, instruments, limits)
        self._boards = [BinanceBoard(self, each, 3 * rank, self.speeds) for rank, each in enumerate(instruments)]
        for board in self._boards:
            self.add_pushes(board)

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

    def partial_depth(self, instrument: SimulatedInstrument, levels: int, previous: int) -> dict[str, Any]:
        """Return the event of the best levels; `previous`: the id of the event before."""
        raise NotImplementedError

    def ticker(self, instrument: SimulatedInstrument) -> dict[str, Any]:
        """Return the event of the last 24 hours."""
        return figures.ticker(instrument, instrument.day.at(now_ms()), self.now_ms())

    def of_market(self, listing: Listing, event: dict[str, Any]) -> dict[str, Any]:
        """Return an event with the fields that this market adds."""
        return event

    # The market

    def step(self, number: int, rate: float, paused: bool) -> None:
        for board in self._boards:
            instrument = board.instrument
            for trade in () if paused else instrument.step(rate):
                if trade is not None:
                    instrument.on_trade(trade, now_ms())
                    self.publish(board.trade, partial(self.trade, instrument, trade))
                    self.publish(board.aggregated, partial(self.aggregated_trade, instrument, trade))
                self._publish_top(board)
            self._publish_top(board)  # an arbitrage may have moved the book between two steps
            for depth in board.depths:
                if board.is_due(number, depth.interval) and depth.window.last:
                    self.publish(depth.stream, partial(self.depth_update, instrument, depth.window))
                    depth.window.reset()
            for push in board.pushes:
                if push.stream.subscribers and board.is_due(number, push.interval):
                    for event in push.events():
                        self.publish(push.stream, partial(dict, event))

    def _publish_top(self, board: BinanceBoard) -> None:
        if board.top_changed():
            self.publish(board.bbo, partial(self.book_ticker, board.instrument))

    def add_pushes(self, board: BinanceBoard) -> None:
        """Add what the market pushes at intervals of an instrument."""
        instrument = board.instrument
        board.add_push("@ticker", "tickers", self.ticker_s, lambda: [self._ticker(instrument)])
        board.add_push("@miniTicker", "tickers", self.ticker_s, lambda: [self._mini_ticker(instrument)])
        for name in self.intervals:
            running = RunningCandles(instrument.candles, INTERVALS[name])
            events = partial(self._klines, instrument, name, running)
            board.add_push(f"@kline_{name}", candles_of(name), 1.0 if name == "1s" else self.kline_s, events)
        for suffix, seconds in self.speeds.items():
            for levels in (5, 10, 20):
                speed = suffix.removeprefix("@depth")
                events = partial(self._partial_depth, instrument, levels, PartialDepth(instrument))
                board.add_push(f"@depth{levels}{speed}", "books", seconds, events)

    def _ticker(self, instrument: SimulatedInstrument) -> dict[str, Any]:
        return self.of_market(instrument.listing, self.ticker(instrument))

    def _mini_ticker(self, instrument: SimulatedInstrument) -> dict[str, Any]:
        listing = instrument.listing
        return self.of_market(listing, figures.mini_ticker(listing, instrument.day.at(now_ms()), self.now_ms()))

    def _klines(self, instrument: SimulatedInstrument, name: str, running: RunningCandles) -> list[dict[str, Any]]:
        due = [figures.kline(instrument, name, each, self.now_ms()) for each in running.due(now_ms())]
        return [self.of_market(instrument.listing, each) for each in due]

    def _partial_depth(self, instrument: SimulatedInstrument, levels: int, sent: PartialDepth) -> list[dict[str, Any]]:
        previous = sent.take_change()
        return [self.partial_depth(instrument, levels, previous)] if previous >= 0 else []

    # WebSocket

    def routes(self) -> list[web.RouteDef]:
        return [
            *(
                web.get(path, self.serve)
                for root in self.roots
                for path in (f"{root}/ws", f"{root}/ws/{{streams:.+}}", f"{root}/stream")
            ),
            *self.rest_routes(),
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

    # Faults

    def frame_ids(self, payload: dict[str, Any]) -> dict[str, int]:
        return {name: payload[name] for name in ("U", "u", "pu") if name in payload}

    def sides(self, payload: dict[str, Any]) -> tuple[list[Any], list[Any]]:
        return (payload["b"], payload["a"]) if "b" in payload else (payload["bids"], payload["asks"])

    def empty_arrays(self, payload: dict[str, Any]) -> None:
        for side in self.sides(payload):
            side[:] = [[]]

    def unknown_frame(self, symbol: str) -> dict[str, Any]:
        return {"e": "mystery", "E": self.now_ms(), "s": self.instruments[symbol].listing.exchange_symbol}
