"""Simulated OKX v5 (docs/protocols/okx.md §3).

Text pings, one acknowledgement per argument, books that begin with a snapshot.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import Any, ClassVar

import orjson
from aiohttp import web

from marketprism.simulator.exchanges.okx import figures, frames
from marketprism.simulator.exchanges.okx.board import LIQUIDATIONS, OkxBoard
from marketprism.simulator.exchanges.okx.candles import candle_streams
from marketprism.simulator.exchanges.okx.control import ControlError, parse_request, subject_of, unknown_channel
from marketprism.simulator.exchanges.okx.definitions import instrument_row
from marketprism.simulator.exchanges.okx.rest import INSTRUMENT_TYPES, OkxRest, exceeds_limit
from marketprism.simulator.exchanges.okx.states import CHANNELS as STATE_CHANNELS
from marketprism.simulator.exchanges.okx.states import state_streams
from marketprism.simulator.market.instrument import SimulatedInstrument, Trade
from marketprism.simulator.market.prices import STEP_S
from marketprism.simulator.server.connection import Connection, Limits, Stream
from schemas.exchanges.okx import BARS

_PUBLIC = ("trades", "books", "books5", "bbo-tbt", LIQUIDATIONS, *STATE_CHANNELS)
_BUSINESS = ("trades-all", *(f"candle{bar}" for bar in BARS.values()))
_INSTRUMENTS = "instruments"
_PRIVILEGED = ("books-l2-tbt", "books50-l2-tbt")  # VIP4 and above
_OPERATIONS_PER_HOUR = 480  # of one connection
_MAX_REQUEST_BYTES = 64 * 1024
_BOOK_INTERVAL = round(0.1 / STEP_S)  # steps between two pushes of books and books5
_CANDLE_INTERVAL = round(1.0 / STEP_S)
_LEVELS = {"bbo-tbt": 1, "books5": 5}  # a side, of the channels that always push all levels


class Okx(OkxRest):
    """The public and the business WebSocket."""

    compress = True
    max_id_step, lag_steps, max_levels = 5, 5, 400
    idle_timeout = 30.0
    keep_alive = 60.0
    heartbeat_close = (4004, "No data received in 30s.")
    chained_reset = True
    entry_changes: ClassVar = {
        "closed": {"state": "expired"},
        "halted": {"state": "suspend"},
        "resized": {"ctVal": "1"},
        "unsized": {"ctVal": "", "state": "preopen"},
        "odd": {"tickSz": ""},
    }

    def __init__(self, feed: str, instruments: list[SimulatedInstrument], limits: Limits) -> None:
        super().__init__(feed, instruments, limits)
        self._states = list(state_streams(self.boards.values()))
        self._candles = {name: candle_streams(board) for name, board in self.boards.items()}
        candles = chain.from_iterable(self._candles.values())
        # What is sent to a new subscriber of a stream, at a time in ms.
        self._current: dict[str, Callable[[int], dict[str, Any] | None]] = {
            **{state.stream.name: state.current for state in self._states},
            **{each.stream.name: each.current for each in candles},
        }
        for kind in INSTRUMENT_TYPES:
            self.streams[f"{_INSTRUMENTS}:{kind}"] = Stream(f"{_INSTRUMENTS}:{kind}", "", "quotes")

    # The market: of one instrument, the exchange pushes bbo-tbt first, then books, then books5

    def step(self, number: int, rate: float, paused: bool) -> None:
        for board in self.boards.values():
            for trade in () if paused else board.instrument.step(rate):
                if trade is not None:
                    self._push_trade(board, trade)
            if board.top_changed():
                self._push(board, "bbo-tbt", self._best_levels(board, "bbo-tbt"))
            if board.is_due(number, _BOOK_INTERVAL):
                self._push_books(board)
                self._push_five(board)
            if board.is_due(number, _CANDLE_INTERVAL):
                self._push_candles(board)
        self._push_states(number)
        if number % _BOOK_INTERVAL == 0:
            self._keep_alive()

    def _push_trade(self, board: OkxBoard, trade: Trade) -> None:
        listing, now = board.instrument.listing, self.now_ms()
        board.instrument.on_trade(trade, now)
        value = trade.id, listing.price_text(trade.price), listing.amount_text(trade.amount), trade.side
        self.publish(board.streams["trades"], partial(frames.aggregated_trade, board.name, *value, trade.sequence, now))
        self.publish(board.streams["trades-all"], partial(frames.trade, board.name, *value, now))
        if board.liquidations is not None and (order := board.liquidation_of(trade)) is not None:
            self.publish(board.liquidations, partial(figures.liquidation_order, board.instrument, order))

    def _push_candles(self, board: OkxBoard) -> None:
        for candles in self._candles[board.name]:
            for payload in candles.due(self.now_ms()):
                self._publish(candles.stream, payload)

    def _push_states(self, number: int) -> None:
        now = self.now_ms()
        for state in self._states:
            if state.is_due(number, now):
                self.publish(state.stream, partial(state.payload, now))

    def _best_levels(self, board: OkxBoard, channel: str) -> dict[str, Any]:
        """Return a push of the channel's best levels as they are now."""
        book, count = board.instrument.book, _LEVELS[channel]
        sequence = book.top_sequence if count == 1 else book.sequence
        return frames.best_levels(channel, board.name, *board.top(count), sequence, self.now_ms())

    def _push(self, board: OkxBoard, channel: str, payload: dict[str, Any]) -> None:
        board.sent_at[channel] = time.monotonic()
        self._publish(board.streams[channel], payload)

    def _publish(self, stream: Stream, payload: dict[str, Any]) -> None:
        self.publish(stream, lambda: payload)

    def _push_books(self, board: OkxBoard) -> None:
        book, window, stream = board.instrument.book, board.window, board.streams["books"]
        seeding = board.seeding & stream.subscribers
        if window.last:
            stream.subscribers -= seeding  # their snapshot includes this change
            bids, asks = (frames.text_levels(board.instrument.listing, side) for side in book.changes(window))
            ids = window.previous, window.last
            self._push(board, "books", frames.book(board.name, "update", bids, asks, *ids, self.now_ms()))
            stream.subscribers |= seeding
            window.reset()
        if seeding and not self.is_stalled(stream.symbol):
            bids, asks = board.top(self.max_levels)
            push = frames.book(board.name, "snapshot", bids, asks, -1, book.sequence, self.now_ms())
            self.send_to(seeding, stream, push)
            board.seeding.clear()

    def _push_five(self, board: OkxBoard) -> None:
        book = board.instrument.book
        five = book.bids.top(5), book.asks.top(5)
        if five != board.five_sent:
            board.five_sent = five
            self._push(board, "books5", self._best_levels(board, "books5"))

    def _keep_alive(self) -> None:
        """After a minute without a push, send an empty update of the book and repeat the full pushes."""
        late = time.monotonic() - (self.limits.keep_alive or self.keep_alive)
        for board in self.boards.values():
            sequence = board.window.previous
            if board.sent_at["books"] < late and not board.window.last:
                push = frames.book(board.name, "update", [], [], sequence, sequence, self.now_ms())
                self._push(board, "books", push)
            for channel in _LEVELS:
                if board.sent_at[channel] < late:
                    self._push(board, channel, self._best_levels(board, channel))

    # WebSocket

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/ws/v5/public", self.serve),
            web.get("/ws/v5/business", self.serve),
            *self.rest_routes(),
        ]

    async def enforce_heartbeat(self, connection: Connection) -> None:
        """Drop a connection on which nothing is sent in either direction for the idle timeout."""
        timeout = self.limits.idle_timeout or self.idle_timeout
        while time.monotonic() - max(connection.last_message_at, connection.sent_at) < timeout:
            await asyncio.sleep(min(1.0, timeout / 4))
        await connection.close(*self.heartbeat_close)

    async def on_text(self, connection: Connection, text: str) -> None:
        if text == "ping":
            connection.send(b"pong", kind="ping")
            return
        if len(text) > _MAX_REQUEST_BYTES:
            await connection.close(1009, "The request is too large")
            return
        request: Any = None
        try:
            request = parse_request(text)
            if request["op"] == "subscribe" and self.exceeds_subscribe_limit():
                raise ControlError("60014", "Requests too frequent")
            for arg in request["args"]:
                self._execute(connection, request, arg)
        except ControlError as error:
            self._answer(connection, request, {"event": "error", "code": error.code, "msg": str(error)})

    def _answer(self, connection: Connection, request: Any, body: dict[str, Any]) -> None:
        request_id = {"id": request["id"]} if isinstance(request, dict) and "id" in request else {}
        connection.send_json(request_id | body | {"connId": connection.id})

    def _execute(self, connection: Connection, request: dict[str, Any], arg: Any) -> None:
        """Carry out a request for one of its arguments, and answer it."""
        if exceeds_limit(connection.received, _OPERATIONS_PER_HOUR, 3600.0):
            raise ControlError("60014", "Requests too frequent")
        try:
            name = self._stream_name(connection, arg)
            if request["op"] == "subscribe" and self.rejects(self.streams[name]):
                raise unknown_channel(arg)
        except ControlError as error:  # the request's other arguments are not affected
            self._answer(connection, request, {"event": "error", "code": error.code, "msg": str(error)})
            return
        self._answer(connection, request, {"event": request["op"], "arg": arg})
        if request["op"] == "unsubscribe":
            self.unsubscribe(connection, name)
        else:
            self.subscribe(connection, name, self.streams[name])

    def _stream_name(self, connection: Connection, arg: Any) -> str:
        if not isinstance(arg, dict) or not isinstance(arg.get("channel"), str):
            raise ControlError("60013", f"Invalid args: {orjson.dumps(arg).decode()}")
        channel = arg["channel"]
        if channel == _INSTRUMENTS and arg.get("instType") in INSTRUMENT_TYPES:
            return f"{_INSTRUMENTS}:{arg['instType']}"
        if channel in _PRIVILEGED:
            raise ControlError("64003", "Your trading fee tier doesn't meet the requirement to access this channel")
        served, name = _BUSINESS if connection.path.endswith("business") else _PUBLIC, f"{channel}:{subject_of(arg)}"
        if channel not in served or name not in self.streams:
            raise unknown_channel(arg)
        return name

    def on_subscribed(self, connection: Connection, stream: Stream) -> None:
        channel, _, name = stream.name.partition(":")
        if channel == "books":
            self.boards[name].seeding.add(connection)
        elif channel in _LEVELS and not self.is_stalled(stream.symbol):
            connection.send_json(self._best_levels(self.boards[name], channel), "snapshot")
        elif current := self._current.get(stream.name):
            payload = None if self.withholds(stream) else current(self.now_ms())
            if payload is not None:
                connection.send_json(payload, "snapshot")

    def announce_definition(self, symbol: str) -> None:
        row = self.entry(symbol, instrument_row) | ({"state": "expired"} if self.is_gone(symbol) else {})
        stream = self.streams[f"{_INSTRUMENTS}:{row['instType']}"]
        push = {"arg": {"channel": _INSTRUMENTS, "instType": row["instType"]}, "data": [row]}
        self.send_to(stream.subscribers, stream, push)

    def announce_shutdown(self, connection: Connection) -> None:
        text = "The connection will soon be closed for a service upgrade. Please reconnect."
        self._answer(connection, None, {"event": "notice", "code": "64008", "msg": text})

    # Faults

    def frame_ids(self, payload: dict[str, Any]) -> dict[str, int]:
        return {name: payload["data"][0][name] for name in ("prevSeqId", "seqId")}

    def sides(self, payload: dict[str, Any]) -> tuple[list[Any], list[Any]]:
        return payload["data"][0]["bids"], payload["data"][0]["asks"]

    def empty_arrays(self, payload: dict[str, Any]) -> None:
        payload["data"] = []

    def encode_level(self, price: str, amount: str) -> list[Any]:
        return frames.level(price, amount)

    def unknown_frame(self, symbol: str) -> dict[str, Any]:
        return {"arg": {"channel": "mystery", "instId": self.instruments[symbol].listing.exchange_symbol}, "data": []}
