"""Simulated Deribit v2 (docs/protocols/deribit.md §6).

JSON-RPC on one path, books that begin with a snapshot, heartbeats on request.
"""

import asyncio
import time
from collections.abc import Callable
from math import isfinite
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from aiohttp import web

from marketprism.simulator.exchanges.deribit.board import DeribitBoard
from marketprism.simulator.exchanges.deribit.control import (
    RestCredits,
    RpcError,
    Session,
    TooManyRequestsError,
    channels_of,
    envelope,
    interval_of,
    now_us,
    parse_request,
)
from marketprism.simulator.exchanges.deribit.frames import heartbeat, notification
from marketprism.simulator.exchanges.deribit.methods import Methods, Params
from marketprism.simulator.market.instrument import SimulatedInstrument
from marketprism.simulator.server.connection import Connection, Limits, Stream
from marketprism.simulator.server.exchange_server import ExchangeServer, json_response

_PLATFORM = "platform_state"
_INSTRUMENT_STATE = "instrument.state.{}.any"
_CHECK_INTERVAL = 0.1  # s between two checks of a session
_CLOSE_DELAY = 0.1  # s between the last answer of a session and its close


class Deribit(ExchangeServer):
    """The WebSocket and REST."""

    compress = True
    max_id_step, lag_steps, max_levels = 40, 8, 1000
    idle_timeout = 60.0
    pong_timeout = 10.0
    heartbeat_close = (4000, "heartbeat close")
    entry_changes: ClassVar = {
        "closed": {"state": "inactive", "is_active": False},
        "halted": {"state": "settlement"},
        "resized": {"tick_size": 5.0},  # the contract size has no meaning, as amounts are not in contracts
        "odd": {"tick_size": None},
    }

    def __init__(self, feed: str, instruments: list[SimulatedInstrument], limits: Limits) -> None:
        super().__init__(feed, instruments, limits)
        self._sessions = WeakKeyDictionary[Connection, Session]()
        self._boards = {
            instrument.listing.exchange_symbol: DeribitBoard(self, instrument, 3 * rank)
            for rank, instrument in enumerate(instruments)
        }
        self._board_of = {name: board for board in self._boards.values() for name in board.seeding}
        self._methods = Methods(self, self._boards)
        self._rest_credits = RestCredits()
        for kind in ("future", "spot", "option"):
            name = _INSTRUMENT_STATE.format(kind)
            self.streams[name] = Stream(name, "", "quotes")
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
            if not paused:
                board.run(rate)
            board.push(number)

    # WebSocket

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/ws/api/v2", self.serve), web.get("/api/v2/public/{method}", self._rest)]

    def on_open(self, connection: Connection) -> None:
        self._sessions[connection] = Session()

    async def enforce_heartbeat(self, connection: Connection) -> None:
        """Drop a session without subscriptions and heartbeat, and one that leaves a test request unanswered."""
        session = self._sessions[connection]
        idle_timeout = self.limits.idle_timeout or self.idle_timeout
        test_timeout = self.limits.pong_timeout or self.pong_timeout
        while True:
            now = time.monotonic()
            if connection.streams or session.interval:
                session.active_at = now
            elif now - max(session.active_at, connection.last_message_at) > idle_timeout:
                connection.abort()
            if session.test_sent_at and now - session.test_sent_at > test_timeout:
                await connection.close(*self.heartbeat_close)
            elif session.interval and now > session.due:
                session.due, session.test_sent_at = now + session.interval, session.test_sent_at or now
                connection.send_json(heartbeat("heartbeat"))
                connection.send_json(heartbeat("test_request"))
            await asyncio.sleep(_CHECK_INTERVAL)

    async def on_text(self, connection: Connection, text: str) -> None:
        received_at = now_us()
        request: dict[str, Any] = {}
        error: RpcError | None = None
        try:
            request = parse_request(text)
            outcome = {"result": self._execute(connection, request)}
        except RpcError as raised:
            error, outcome = raised, {"error": raised.body}
        request_id = {"id": request["id"]} if "id" in request else {}
        connection.send_json(envelope(request_id | outcome, received_at))
        if isinstance(error, TooManyRequestsError):
            await asyncio.sleep(_CLOSE_DELAY)
            await connection.close(1008, "too_many_requests")

    def _execute(self, connection: Connection, request: dict[str, Any]) -> Any:
        """Carry out a request and return its result; raise `RpcError`."""
        method, params = str(request.get("method")), request.get("params", {})
        if not isinstance(params, dict):
            raise RpcError(-32602, "Invalid params")
        if method == "public/test":
            self._sessions[connection].test_sent_at = 0.0
        if method in self._commands:
            return self._commands[method](connection, params)
        return self._methods.result(method, params)

    def _subscribe(self, connection: Connection, params: Params) -> list[str]:
        if self.exceeds_subscribe_limit() or not self._sessions[connection].credits.spend():
            raise TooManyRequestsError
        names = channels_of(params)
        if any(name.endswith(".raw") for name in names):
            raise RpcError(13778, "raw_subscriptions_not_available_for_unauthorized")
        known = [name for name in names if name in self.streams or name == _PLATFORM]
        accepted = [name for name in known if not self.rejects(self.streams.get(name))]
        for name in accepted:
            self._subscribe_channel(connection, name)
        return sorted(accepted, reverse=True)

    def _subscribe_channel(self, connection: Connection, name: str) -> None:
        active = name in connection.streams
        self.subscribe(connection, name, self.streams.get(name))
        board = self._board_of.get(name)
        if board is not None and not active:
            board.seeding[name].add(connection)

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
        self._sessions[connection].set_heartbeat(self.limits.ping_interval or interval)
        return "ok"

    def _disable_heartbeat(self, connection: Connection, params: Params) -> str:
        self._sessions[connection].set_heartbeat(0.0)
        return "ok"

    def announce_definition(self, symbol: str) -> None:
        row = self.entry(symbol, self._methods.row)
        state = "terminated" if self.is_gone(symbol) else row["state"]
        stream = self.streams[_INSTRUMENT_STATE.format(row["kind"])]
        change = {"instrument_name": row["instrument_name"], "state": state, "timestamp": self.now_ms()}
        self.send_to(stream.subscribers, stream, notification(stream.name, change))

    def announce_shutdown(self, connection: Connection) -> None:
        if _PLATFORM in connection.streams:
            connection.send_json(notification(_PLATFORM, {"maintenance": True}))

    # REST

    async def _rest(self, request: web.Request) -> web.Response:
        received_at, method = now_us(), f"public/{request.match_info['method']}"
        if not self._rest_credits.spend(method):
            return self.rate_limited(429, 1)
        try:
            if method in self._commands:
                raise RpcError(10030, "must_be_websocket_request")
            outcome, status = {"result": self._methods.result(method, dict(request.query))}, 200
        except RpcError as error:
            outcome, status = {"error": error.body}, 400
        return json_response(envelope(outcome, received_at), status)

    def rate_limited(self, status: int, retry_after: int) -> web.Response:
        return json_response(envelope({"error": TooManyRequestsError().body}, now_us()), status)

    # Faults

    def frame_ids(self, payload: dict[str, Any]) -> dict[str, int]:
        return {name: payload["params"]["data"][name] for name in ("prev_change_id", "change_id")}

    def sides(self, payload: dict[str, Any]) -> tuple[list[Any], list[Any]]:
        return payload["params"]["data"]["bids"], payload["params"]["data"]["asks"]

    def empty_arrays(self, payload: dict[str, Any]) -> None:
        payload["params"]["data"] |= {"bids": [[]], "asks": [[]]}

    def encode_level(self, price: str, amount: str) -> list[Any]:
        number = float(amount)  # NaN stays text: JSON has no number for it
        return ["new", float(price), number if isfinite(number) else amount]

    def unknown_frame(self, symbol: str) -> dict[str, Any]:
        return notification(f"mystery.{self.instruments[symbol].listing.exchange_symbol}", {})
