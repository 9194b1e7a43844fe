"""Deribit v2 (docs/protocols/deribit.md §6): JSON-RPC on one path.

Books bring their own snapshot. Heartbeats are sent on request.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from math import isfinite
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import orjson
from aiohttp import web

from marketprism.simulator.exchanges.deribit import frames
from marketprism.simulator.exchanges.deribit.board import INTERVAL, Board
from marketprism.simulator.exchanges.deribit.control import (
    RpcError,
    Session,
    TooManyError,
    channels_of,
    envelope,
    heartbeat,
    interval_of,
    micros,
    notification,
    parsed,
    wrong,
)
from marketprism.simulator.market.instrument import SimulatedInstrument, Trade
from marketprism.simulator.market.listings import Listing
from marketprism.simulator.server.connection import Connection, Limits, Stream, now_ms
from marketprism.simulator.server.exchange_server import ExchangeServer

_PLATFORM = "platform_state"
_NEWS = "instrument.state.{}.any"
_LOOK = 0.1  # s between two looks at a session
_LAST_WORD = 0.1  # s between the answer that ends a session and its end
_DEPTHS = ("1", "5", "10", "20", "50", "100", "1000", "10000")
_CURRENCIES = ("BTC", "ETH", "USDC", "USDT", "EURR", "any")

Params = dict[str, Any]


class Deribit(ExchangeServer):
    compress = True
    stride, delay, most_levels = 40, 8, 1000
    idle_timeout = 60.0
    pong_timeout = 10.0
    heartbeat_close = (4000, "heartbeat close")
    entry_changes: ClassVar = {
        "closed": {"state": "inactive", "is_active": False},
        "halted": {"state": "settlement"},
        "resized": {"tick_size": 5.0},  # amounts are no contracts
        "odd": {"tick_size": None},
    }

    def __init__(self, feed: str, instruments: list[SimulatedInstrument], limits: Limits) -> None:
        super().__init__(feed, instruments, limits)
        self._sessions = WeakKeyDictionary[Connection, Session]()
        self._boards = {
            instrument.listing.exchange_symbol: Board(self, instrument, 3 * rank)
            for rank, instrument in enumerate(instruments)
        }
        self._of_stream = {
            stream.name: board for board in self._boards.values() for stream in (board.trades, board.book, board.quote)
        }
        for kind in ("future", "spot", "option"):
            self.streams[_NEWS.format(kind)] = Stream(_NEWS.format(kind), "", "quotes")
        self._methods: dict[str, Callable[[Params], Any]] = {
            "public/get_time": lambda params: now_ms(),
            "public/test": lambda params: {"version": "1.2.26"},
            "public/status": lambda params: {"locked": "false", "locked_indices": []},
            "public/get_instruments": self._instruments,
            "public/get_instrument": lambda params: self._row(self._board(params).instrument.listing),
            "public/get_order_book": self._order_book,
        }
        self._commands: dict[str, Callable[[Connection, Params], Any]] = {
            "public/subscribe": self._subscribe,
            "public/unsubscribe": self._unsubscribe,
            "public/unsubscribe_all": self._unsubscribe_all,
            "public/set_heartbeat": self._set_heartbeat,
            "public/disable_heartbeat": self._disable_heartbeat,
        }

    # The market

    def step(self, number: int, rate: float, paused: bool) -> None:
        for board in self._boards.values():
            for trade in () if paused else board.instrument.step(rate):
                if trade is not None:
                    board.rows.append(self._trade(board, trade))
            if board.instrument.book.sequence != board.sequence:
                board.sequence = board.instrument.book.sequence
                board.changed_at = self.now_ms()
            self._push_quote(board)
            if number % INTERVAL == board.phase:
                self._push_trades(board)
                self._push_book(board)

    def _trade(self, board: Board, trade: Trade) -> dict[str, Any]:
        return frames.trade_row(board.instrument, trade, board.tick_direction(trade.price), self.now_ms())

    def _push(self, stream: Stream, data: Any) -> None:
        self.publish(stream, partial(notification, stream.name, data))

    def _push_quote(self, board: Board) -> None:
        if board.instrument.book.top_sequence != board.top_sequence:
            board.top_sequence = board.instrument.book.top_sequence
            self._update(board, board.quote, frames.quote(board.instrument, board.changed_at))
        self._welcome(board, board.quote, frames.quote)

    def _push_trades(self, board: Board) -> None:
        if board.rows:
            self._push(board.trades, board.rows)
            board.rows = []

    def _push_book(self, board: Board) -> None:
        if board.window.last:
            self._update(board, board.book, self._change(board))
            board.window.restart()
        self._welcome(board, board.book, frames.snapshot)

    def _change(self, board: Board) -> dict[str, Any]:
        listing, window = board.instrument.listing, board.window
        changes = zip(board.instrument.book.changes(window), board.known, strict=True)
        bids, asks = (frames.entries(listing, levels, known) for levels, known in changes)
        return frames.change(listing, bids, asks, window.previous, window.last, board.changed_at)

    def _update(self, board: Board, stream: Stream, data: dict[str, Any]) -> None:
        newcomers = board.newcomers(stream)
        stream.subscribers -= newcomers  # to them it comes as part of the state
        self._push(stream, data)
        stream.subscribers |= newcomers

    def _welcome(
        self, board: Board, stream: Stream, state: Callable[[SimulatedInstrument, int], dict[str, Any]]
    ) -> None:
        """Send the state to who has just subscribed."""
        newcomers = board.newcomers(stream)
        if not newcomers or self.stalled(stream.symbol):
            return
        body = notification(stream.name, state(board.instrument, board.changed_at))
        for connection in newcomers:
            connection.answer(body, "snapshot")
        newcomers.clear()

    # WebSocket

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/ws/api/v2", self.serve), web.get("/api/v2/public/{method}", self._rest)]

    def on_open(self, connection: Connection) -> None:
        self._sessions[connection] = Session()

    async def watch(self, connection: Connection) -> None:
        """A session without subscriptions or heartbeat is dropped, and one that leaves a test request unanswered."""
        session = self._sessions[connection]
        idle = self.limits.idle_timeout or self.idle_timeout
        patience = self.limits.pong_timeout or self.pong_timeout
        while True:
            now = time.monotonic()
            if connection.streams or session.interval:
                session.busy_at = now
            elif now - max(session.busy_at, connection.last_message_at) > idle:
                connection.abort()
            if session.asked_at and now - session.asked_at > patience:
                await connection.close(*self.heartbeat_close)
            elif session.interval and now > session.due:
                session.due, session.asked_at = now + session.interval, session.asked_at or now
                connection.answer(heartbeat("heartbeat"))
                connection.answer(heartbeat("test_request"))
            await asyncio.sleep(_LOOK)

    async def on_text(self, connection: Connection, text: str) -> None:
        came = micros()
        request: dict[str, Any] = {}
        error: RpcError | None = None
        try:
            request = parsed(text)
            outcome = {"result": self._obey(connection, request)}
        except RpcError as refused:
            error, outcome = refused, {"error": refused.body}
        number = {"id": request["id"]} if "id" in request else {}
        connection.answer(envelope(number | outcome, came))
        if isinstance(error, TooManyError):
            await asyncio.sleep(_LAST_WORD)
            await connection.close(1008, "too_many_requests")

    def _obey(self, connection: Connection, request: dict[str, Any]) -> Any:
        method, params = str(request.get("method")), request.get("params", {})
        if not isinstance(params, dict):
            raise RpcError(-32602, "Invalid params")
        if method == "public/test":
            self._sessions[connection].asked_at = 0.0
        if method in self._commands:
            return self._commands[method](connection, params)
        return self._result(method, params)

    def _subscribe(self, connection: Connection, params: Params) -> list[str]:
        if self.too_frequent() or not self._sessions[connection].spend():
            raise TooManyError
        names = channels_of(params)
        if any(name.endswith(".raw") for name in names):
            raise RpcError(13778, "raw_subscriptions_not_available_for_unauthorized")
        offered = [name for name in names if name in self.streams or name == _PLATFORM]
        taken = [name for name in offered if not self.refuses(self.streams.get(name))]
        for name in taken:
            self._take(connection, name)
        return sorted(taken, reverse=True)

    def _take(self, connection: Connection, name: str) -> None:
        active = name in connection.streams
        self.subscribe(connection, name, self.streams.get(name))
        board = self._of_stream.get(name)
        if board is not None and not active and name in board.new:
            board.new[name].add(connection)

    def _unsubscribe(self, connection: Connection, params: Params) -> list[str]:
        names = [name for name in channels_of(params) if name in connection.streams]
        for name in names:
            self.unsubscribe(connection, name)
        return names

    def _unsubscribe_all(self, connection: Connection, params: Params) -> str:
        for name in list(connection.streams):
            self.unsubscribe(connection, name)
        return "ok"

    def _set_heartbeat(self, connection: Connection, params: Params) -> str:
        interval = interval_of(params)
        self._sessions[connection].beat(self.limits.ping_interval or interval)
        return "ok"

    def _disable_heartbeat(self, connection: Connection, params: Params) -> str:
        self._sessions[connection].beat(0.0)
        return "ok"

    def announce_definition(self, symbol: str) -> None:
        row = self.entry(symbol, self._row)
        state = "terminated" if self.is_gone(symbol) else row["state"]
        stream = self.streams[_NEWS.format(row["kind"])]
        news = {"instrument_name": row["instrument_name"], "state": state, "timestamp": self.now_ms()}
        self.send_to(stream.subscribers, stream, notification(stream.name, news))

    def wrap(self, connection: Connection, stream: Stream, body: bytes) -> bytes:
        return body

    def announce_shutdown(self, connection: Connection) -> None:
        if _PLATFORM in connection.streams:
            connection.answer(notification(_PLATFORM, {"maintenance": True}))

    # REST

    async def _rest(self, request: web.Request) -> web.Response:
        came, method = micros(), f"public/{request.match_info['method']}"
        try:
            if method in self._commands:
                raise RpcError(10030, "must_be_websocket_request")
            outcome, status = {"result": self._result(method, dict(request.query))}, 200
        except RpcError as error:
            outcome, status = {"error": error.body}, 400
        return _json(envelope(outcome, came), status)

    def rate_limited(self, status: int, retry_after: int) -> web.Response:
        return _json(envelope({"error": TooManyError().body}, micros()), status)

    def _result(self, method: str, params: Params) -> Any:
        if method not in self._methods:
            raise RpcError(-32601, "Method not found")
        return self._methods[method](params)

    def _board(self, params: Params) -> Board:
        board = self._boards.get(str(params.get("instrument_name")))
        if board is None:
            raise wrong("instrument_name", "wrong format")
        return board

    def _row(self, listing: Listing) -> dict[str, Any]:
        return frames.instrument_row(listing, list(self._boards).index(listing.exchange_symbol) + 1)

    def _instruments(self, params: Params) -> list[dict[str, Any]]:
        currency, kind = params.get("currency"), params.get("kind")
        if currency not in _CURRENCIES:
            raise wrong("currency", "wrong format")
        return [row for row in self.entries(self._row) if kind in (None, row["kind"]) and _is_of(row, currency)]

    def _order_book(self, params: Params) -> dict[str, Any]:
        board, depth = self._board(params), str(params.get("depth", "5"))
        if depth not in _DEPTHS:
            raise wrong("depth", "wrong format")
        return frames.order_book(board.instrument, int(depth), board.changed_at)

    # Faults

    def frame_ids(self, payload: dict[str, Any]) -> dict[str, int]:
        return {name: payload["params"]["data"][name] for name in ("prev_change_id", "change_id")}

    def sides(self, payload: dict[str, Any]) -> tuple[list[Any], list[Any]]:
        return payload["params"]["data"]["bids"], payload["params"]["data"]["asks"]

    def empty(self, payload: dict[str, Any]) -> None:
        payload["params"]["data"] |= {"bids": [[]], "asks": [[]]}

    def level(self, price: str, amount: str) -> list[Any]:
        number = float(amount)  # JSON has no NaN
        return ["new", float(price), number if isfinite(number) else amount]

    def unknown(self, symbol: str) -> dict[str, Any]:
        return notification(f"mystery.{self.instruments[symbol].listing.exchange_symbol}", {})


def _is_of(row: dict[str, Any], currency: str) -> bool:
    if currency == "any":
        return True
    pair = (row["base_currency"], row["quote_currency"])
    return currency in (pair if row["kind"] == "spot" else (row["settlement_currency"],))


def _json(body: dict[str, Any], status: int) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")
