"""Simulated HTX (docs/protocols/htx.md §4, §5): gzip frames, JSON pings, one topic per request.

The modules `spot` and `linear` add the differences between spot and swaps.
"""

import asyncio
import time
from functools import partial
from typing import Any, ClassVar

from aiohttp import web

from marketprism.simulator.exchanges.htx.board import Figure, HtxBoard
from marketprism.simulator.exchanges.htx.control import RequestError, id_of, invalid_topic, parse_request, verb_of
from marketprism.simulator.exchanges.htx.frames import number, push
from marketprism.simulator.server.connection import Connection, Stream, now_ms
from marketprism.simulator.server.exchange_server import ExchangeServer, json_response


class Htx(ExchangeServer):
    """What spot and swaps have in common."""

    gzipped = True
    ping_interval = 5.0
    max_unanswered: ClassVar[int]  # pings; with more, the connection is closed
    heartbeat_close = (1003, "ping check expired")  # observed on swaps; spot's code is not documented
    requests_per_second: ClassVar[int]
    time_path: ClassVar[str]

    def push_figures(self, board: HtxBoard, number: int) -> None:
        """Push what is due of an instrument's current values."""
        for figure in board.figures:
            if board.is_due(number, figure.interval):
                for at in figure.times(self.now_ms()):
                    self.publish(figure.stream, partial(self._figure, figure, at))

    def _figure(self, figure: Figure, at: int) -> dict[str, Any]:
        return push(figure.stream.name, figure.tick(at), self.now_ms())

    # The differences between spot and swaps

    def stream_for(self, connection: Connection, topic: str, request: dict[str, Any]) -> Stream:
        """Return the stream of a topic; raise `RequestError` if the connection's path does not serve it."""
        raise NotImplementedError

    def requested_data(self, connection: Connection, topic: str) -> dict[str, Any]:
        """Return the data of the answer to a `req`; raise `RequestError`."""
        raise invalid_topic(topic)

    def time_body(self) -> dict[str, Any]:
        """Return the body of the REST response with the time."""
        raise NotImplementedError

    def ping(self, connection: Connection, time_ms: bytes) -> bytes:
        """Return the frame of a ping."""
        return b'{"ping":%b}' % time_ms

    # WebSocket

    async def enforce_heartbeat(self, connection: Connection) -> None:
        """Ping, and disconnect a client that leaves several pings unanswered."""
        interval = self.limits.ping_interval or self.ping_interval
        timeout = self.limits.pong_timeout or interval * (self.max_unanswered + 0.5)
        while time.monotonic() - connection.answered_at < timeout:
            connection.expected_pong = str(now_ms()).encode()
            connection.send(self.ping(connection, connection.expected_pong), kind="ping")
            await asyncio.sleep(interval)
        await connection.close(*self.heartbeat_close)

    async def on_text(self, connection: Connection, text: str) -> None:
        try:
            request = parse_request(text)
        except RequestError as error:
            self._reject(connection, {}, str(error))
            return
        if "pong" in request:
            self.on_pong(connection, request["pong"])
        elif "ping" not in request:  # a client's own ping is not answered
            self._on_request(connection, request)

    def on_pong(self, connection: Connection, value: Any) -> None:
        """Handle the answer to a ping, if it has the ping's time."""
        if str(value).encode() == connection.expected_pong:
            connection.answered_at = time.monotonic()

    def _on_request(self, connection: Connection, request: dict[str, Any]) -> None:
        try:
            connection.send_json(self._execute(connection, request))
        except RequestError as error:
            self._reject(connection, request, str(error))
            return
        if "sub" in request:  # after the acknowledgement, which precedes the data
            topic = request["sub"]
            self.subscribe(connection, topic, self.stream_for(connection, topic, request))

    def _execute(self, connection: Connection, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out a request, except for the subscription itself, and return the answer; raise `RequestError`."""
        verb = verb_of(request)
        if verb is None:
            raise RequestError("invalid topic")
        if connection.exceeds_rate(self.requests_per_second) or (verb == "sub" and self.exceeds_subscribe_limit()):
            raise RequestError("429 too many request")
        topic = request[verb]
        if verb == "req":
            head = id_of(request) | {"rep": topic, "status": "ok", "ts": self.now_ms()}
            return head | self.requested_data(connection, topic)
        if verb == "unsub":
            self._unsubscribe(connection, topic)
        elif self.rejects(self.stream_for(connection, topic, request)):
            raise invalid_topic(topic)
        echoed = {"data_type": request["data_type"]} if "data_type" in request else {}
        return id_of(request) | {"status": "ok", f"{verb}bed": topic, "ts": self.now_ms()} | echoed

    def _unsubscribe(self, connection: Connection, topic: str) -> None:
        if topic not in connection.streams:
            raise RequestError(f"unsub with not subbed topic {topic}")
        self.unsubscribe(connection, topic)

    def _reject(self, connection: Connection, request: dict[str, Any], reason: str) -> None:
        body = {"status": "error", "err-code": "bad-request", "err-msg": reason, "ts": self.now_ms()}
        connection.send_json(id_of(request) | body)

    def announce_shutdown(self, connection: Connection) -> None:
        # Documented for the notification socket only; what the others send is not known.
        connection.send_json({"op": "close", "ts": self.now_ms()})

    # REST: the HTTP status of errors is 200, except for too many requests

    async def _time(self, request: web.Request) -> web.Response:
        return json_response(self.time_body())

    # Faults

    def sides(self, payload: dict[str, Any]) -> tuple[list[Any], list[Any]]:
        tick = payload["tick"]
        return tick.setdefault("bids", []), tick.setdefault("asks", [])

    def empty_arrays(self, payload: dict[str, Any]) -> None:
        payload["tick"] |= {"bids": [[]], "asks": [[]]}

    def encode_level(self, price: str, amount: str) -> list[Any]:
        return [number(price), number(amount)]

    def unknown_frame(self, symbol: str) -> dict[str, Any]:
        name = self.instruments[symbol].listing.exchange_symbol
        return {"ch": f"market.{name}.mystery", "ts": self.now_ms(), "tick": {}}
