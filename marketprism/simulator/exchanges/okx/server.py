"""Simulated OKX v5 (docs/protocols/okx.md §3).

Text pings, one acknowledgement per argument, books that begin with a snapshot.
"""

import asyncio
import time
from collections import deque
from functools import partial
from typing import Any, ClassVar

import orjson
from aiohttp import web

from marketprism.simulator.exchanges.okx import frames
from marketprism.simulator.exchanges.okx.board import OkxBoard
from marketprism.simulator.exchanges.okx.control import ControlError, parse_request, unknown_channel
from marketprism.simulator.exchanges.okx.states import CHANNELS as STATE_CHANNELS
from marketprism.simulator.exchanges.okx.states import state_streams
from marketprism.simulator.market.instrument import SimulatedInstrument, Trade
from marketprism.simulator.market.prices import STEP_S
from marketprism.simulator.server.connection import Connection, Limits, Stream, now_ms
from marketprism.simulator.server.exchange_server import ExchangeServer, json_response

_PUBLIC = ("trades", "books", "books5", "bbo-tbt", *STATE_CHANNELS)
_BUSINESS = ("trades-all",)
_INSTRUMENTS = "instruments"
_INSTRUMENT_TYPES = ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION", "EVENTS")
_PRIVILEGED = ("books-l2-tbt", "books50-l2-tbt")  # VIP4 and above
_OPERATIONS_PER_HOUR = 480  # of one connection
_MAX_REQUEST_BYTES = 64 * 1024
_BOOK_INTERVAL = round(0.1 / STEP_S)  # steps between two pushes of books and books5
_LEVELS = {"bbo-tbt": 1, "books5": 5}  # a side, of the channels that always push all levels


class Okx(ExchangeServer):
    """The public and the business WebSocket, and REST."""

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
        self._boards = {
            instrument.listing.exchange_symbol: OkxBoard(self, instrument, 3 * rank)
            for rank, instrument in enumerate(instruments)
        }
        self._states = {state.stream.name: state for board in self._boards.values() for state in state_streams(board)}
        self._requests: dict[str, deque[float]] = {}  # times of recent REST requests, by endpoint
        for kind in _INSTRUMENT_TYPES:
            self.streams[f"{_INSTRUMENTS}:{kind}"] = Stream(f"{_INSTRUMENTS}:{kind}", "", "quotes")

    # The market: of one instrument, the exchange pushes bbo-tbt first, then books, then books5

    def step(self, number: int, rate: float, paused: bool) -> None:
        for board in self._boards.values():
            for trade in () if paused else board.instrument.step(rate):
                if trade is not None:
                    self._push_trade(board, trade)
            if board.top_changed():
                self._push(board, "bbo-tbt", self._best_levels(board, "bbo-tbt"))
            if board.is_due(number, _BOOK_INTERVAL):
                self._push_books(board)
                self._push_five(board)
        for state in self._states.values():
            if state.is_due(number):
                self.publish(state.stream, partial(state.payload, self.now_ms()))
        if number % _BOOK_INTERVAL == 0:
            self._keep_alive()

    def _push_trade(self, board: OkxBoard, trade: Trade) -> None:
        listing, now = board.instrument.listing, self.now_ms()
        value = trade.id, listing.price_text(trade.price), listing.amount_text(trade.amount), trade.side
        self.publish(board.streams["trades"], partial(frames.aggregated_trade, board.name, *value, trade.sequence, now))
        self.publish(board.streams["trades-all"], partial(frames.trade, board.name, *value, now))

    def _best_levels(self, board: OkxBoard, channel: str) -> dict[str, Any]:
        """Return a push of the channel's best levels as they are now."""
        book, count = board.instrument.book, _LEVELS[channel]
        sequence = book.top_sequence if count == 1 else book.sequence
        return frames.best_levels(channel, board.name, *self._top(board, count), sequence, self.now_ms())

    def _top(self, board: OkxBoard, count: int) -> tuple[frames.TextLevels, frames.TextLevels]:
        """Return the best `count` bids and asks."""
        listing, book = board.instrument.listing, board.instrument.book
        return frames.text_levels(listing, book.bids.top(count)), frames.text_levels(listing, book.asks.top(count))

    def _push(self, board: OkxBoard, channel: str, payload: dict[str, Any]) -> None:
        board.sent_at[channel] = time.monotonic()
        self.publish(board.streams[channel], lambda: payload)

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
            bids, asks = self._top(board, self.max_levels)
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
        for board in self._boards.values():
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
            web.get("/api/v5/public/time", self._time),
            web.get("/api/v5/public/instruments", self._instruments),
            web.get("/api/v5/market/books", self._market_books),
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
        if _exceeds_limit(connection.received, _OPERATIONS_PER_HOUR, 3600.0):
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
        channel, instrument = arg["channel"], str(arg.get("instId", ""))
        if channel == _INSTRUMENTS and arg.get("instType") in _INSTRUMENT_TYPES:
            return f"{_INSTRUMENTS}:{arg['instType']}"
        if channel in _PRIVILEGED:
            raise ControlError("64003", "Your trading fee tier doesn't meet the requirement to access this channel")
        served, name = _BUSINESS if connection.path.endswith("business") else _PUBLIC, f"{channel}:{instrument}"
        if channel not in served or name not in self.streams:
            raise unknown_channel(arg)
        return name

    def on_subscribed(self, connection: Connection, stream: Stream) -> None:
        channel, _, instrument = stream.name.partition(":")
        if channel == _INSTRUMENTS:
            return  # only changes are sent
        if channel in STATE_CHANNELS:
            if not self.withholds(stream):
                connection.send_json(self._states[stream.name].payload(self.now_ms()), "snapshot")
            return
        board = self._boards[instrument]
        if channel == "books":
            board.seeding.add(connection)
        elif channel in _LEVELS and not self.is_stalled(stream.symbol):
            connection.send_json(self._best_levels(board, channel), "snapshot")

    def announce_definition(self, symbol: str) -> None:
        row = self.entry(symbol, frames.instrument_row) | ({"state": "expired"} if self.is_gone(symbol) else {})
        stream = self.streams[f"{_INSTRUMENTS}:{row['instType']}"]
        push = {"arg": {"channel": _INSTRUMENTS, "instType": row["instType"]}, "data": [row]}
        self.send_to(stream.subscribers, stream, push)

    def announce_shutdown(self, connection: Connection) -> None:
        text = "The connection will soon be closed for a service upgrade. Please reconnect."
        self._answer(connection, None, {"event": "notice", "code": "64008", "msg": text})

    # REST

    def _count_request(self, endpoint: str, limit: int) -> web.Response | None:
        """Count a request; return the error response if there were more than `limit` within 2 s."""
        if not _exceeds_limit(self._requests.setdefault(endpoint, deque()), limit, 2.0):
            return None
        return self.rate_limited(429, 1)

    def rate_limited(self, status: int, retry_after: int) -> web.Response:
        return json_response({"code": "50011", "msg": "Too Many Requests", "data": []}, 429)

    async def _time(self, request: web.Request) -> web.Response:
        return self._count_request("time", 10) or json_response(_data([{"ts": str(now_ms())}]))

    async def _instruments(self, request: web.Request) -> web.Response:
        kind = request.query.get("instType", "")
        if rejection := self._count_request(f"instruments:{kind}", 20):
            return rejection
        if kind not in _INSTRUMENT_TYPES:
            return json_response({"code": "51000", "msg": "Parameter instType error", "data": []}, 400)
        name = request.query.get("instId")
        rows = [
            row
            for row in self.entries(frames.instrument_row)
            if row["instType"] == kind and name in (None, row["instId"])
        ]
        if name is not None and not rows:
            return json_response({"code": "51001", "msg": "Instrument ID doesn't exist.", "data": []})
        return json_response(_data(rows))

    async def _market_books(self, request: web.Request) -> web.Response:
        if rejection := self._count_request("books", 40):
            return rejection
        board = self._boards.get(request.query.get("instId", ""))
        if board is None:
            return json_response({"code": "51001", "msg": "Instrument ID doesn't exist.", "data": []})
        size = request.query.get("sz", "1")
        if not size.isdigit() or not 1 <= int(size) <= 400:
            return json_response({"code": "51000", "msg": "Parameter sz error", "data": []}, 400)
        bids, asks = self._top(board, int(size))
        return json_response(_data([frames.rest_book(bids, asks, board.instrument.book.sequence, self.now_ms())]))

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


def _exceeds_limit(times: deque[float], limit: int, seconds: float) -> bool:
    """Count one more, and return whether there were more than `limit` within the last `seconds`."""
    now = time.monotonic()
    times.append(now)
    while now - times[0] > seconds:
        times.popleft()
    return len(times) > limit


def _data(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"code": "0", "msg": "", "data": rows}
