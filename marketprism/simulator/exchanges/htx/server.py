"""HTX (docs/protocols/htx.md §4, §5): gzip frames, JSON pings, one topic a request.

`spot` and `linear` have the rest.
"""

import asyncio
import time
from typing import Any, ClassVar

import orjson
from aiohttp import web

from marketprism.simulator.exchanges.htx.frames import number
from marketprism.simulator.market.instrument import SimulatedInstrument
from marketprism.simulator.server.connection import Connection, Stream, now_ms
from marketprism.simulator.server.exchange_server import ExchangeServer


class TopicError(Exception):
    """What the exchange answers to a request that it refuses."""


class Board:
    """An instrument with its streams of trades and best prices."""

    def __init__(self, server: ExchangeServer, instrument: SimulatedInstrument, phase: int) -> None:
        listing = instrument.listing
        self.instrument = instrument
        self.phase = phase
        self.root = f"market.{listing.exchange_symbol}"
        self.trade = server.add_stream(f"{self.root}.trade.detail", listing, "trades")
        self.bbo = server.add_stream(f"{self.root}.bbo", listing, "quotes")
        self.top_sent = 0

    def top_changed(self) -> bool:
        changed = self.instrument.book.top_sequence != self.top_sent
        self.top_sent = self.instrument.book.top_sequence
        return changed


class Htx(ExchangeServer):
    zipped = True
    ping_interval = 5.0
    unanswered: ClassVar[int]  # pings after which it hangs up
    heartbeat_close = (1003, "ping check expired")  # seen on swaps; spot's code is not documented
    requests_per_second: ClassVar[int]
    time_path: ClassVar[str]

    # What spot and swaps differ in

    def stream_for(self, connection: Connection, topic: str, request: dict[str, Any]) -> Stream:
        """The stream of a topic; `TopicError` where the connection's path does not serve it."""
        raise NotImplementedError

    def pull(self, connection: Connection, topic: str) -> dict[str, Any]:
        """The data that `req` asks for."""
        raise TopicError(f"invalid topic {topic}")

    def time_body(self) -> dict[str, Any]:
        raise NotImplementedError

    # WebSocket

    async def watch(self, connection: Connection) -> None:
        """Ping; who leaves several unanswered is cut off."""
        interval = self.limits.ping_interval or self.ping_interval
        patience = self.limits.pong_timeout or interval * (self.unanswered + 0.5)
        while time.monotonic() - connection.answered_at < patience:
            connection.awaited_pong = str(now_ms()).encode()
            connection.send(b'{"ping":%b}' % connection.awaited_pong, what="ping")
            await asyncio.sleep(interval)
        await connection.close(*self.heartbeat_close)

    async def on_text(self, connection: Connection, text: str) -> None:
        try:
            request = orjson.loads(text)
        except orjson.JSONDecodeError:
            request = None
        if not isinstance(request, dict):
            self._refuse(connection, {}, "not json string")
        elif "pong" in request:
            self._on_pong(connection, request["pong"])
        elif "ping" not in request:  # a client's own ping is not answered
            self._on_request(connection, request)

    def _on_pong(self, connection: Connection, value: Any) -> None:
        if str(value).encode() == connection.awaited_pong:
            connection.answered_at = time.monotonic()

    def _on_request(self, connection: Connection, request: dict[str, Any]) -> None:
        try:
            connection.answer(self._obeyed(connection, request))
        except TopicError as error:
            self._refuse(connection, request, str(error))
            return
        if "sub" in request:  # data follow the acknowledgement
            topic = request["sub"]
            self.subscribe(connection, topic, self.stream_for(connection, topic, request))

    def _obeyed(self, connection: Connection, request: dict[str, Any]) -> dict[str, Any]:
        verb = next((verb for verb in ("sub", "unsub", "req") if type(request.get(verb)) is str), None)
        if verb is None or connection.too_many(self.requests_per_second) or (verb == "sub" and self.too_frequent()):
            raise TopicError("invalid topic" if verb is None else "429 too many request")
        topic = request[verb]
        if verb == "req":
            return _named(request) | {"rep": topic, "status": "ok", "ts": self.now_ms()} | self.pull(connection, topic)
        if verb == "unsub":
            self._unsubscribe(connection, topic)
        elif self.refuses(self.stream_for(connection, topic, request)):
            raise TopicError(f"invalid topic {topic}")
        echoed = {"data_type": request["data_type"]} if "data_type" in request else {}
        return _named(request) | {"status": "ok", f"{verb}bed": topic, "ts": self.now_ms()} | echoed

    def _unsubscribe(self, connection: Connection, topic: str) -> None:
        if topic not in connection.streams:
            raise TopicError(f"unsub with not subbed topic {topic}")
        self.unsubscribe(connection, topic)

    def _refuse(self, connection: Connection, request: dict[str, Any], reason: str) -> None:
        body = {"status": "error", "err-code": "bad-request", "err-msg": reason, "ts": self.now_ms()}
        connection.answer(_named(request) | body)

    def wrap(self, connection: Connection, stream: Stream, body: bytes) -> bytes:
        return body

    def announce_shutdown(self, connection: Connection) -> None:
        # Documented for the notification socket only: what the others say, nobody has written down.
        connection.answer({"op": "close", "ts": self.now_ms()})

    # REST: errors come with HTTP 200, too many requests excepted

    async def _time(self, request: web.Request) -> web.Response:
        return answered(self.time_body())

    # Faults

    def sides(self, payload: dict[str, Any]) -> tuple[list[Any], list[Any]]:
        tick = payload["tick"]
        return tick.setdefault("bids", []), tick.setdefault("asks", [])

    def empty(self, payload: dict[str, Any]) -> None:
        payload["tick"] |= {"bids": [[]], "asks": [[]]}

    def level(self, price: str, amount: str) -> list[Any]:
        return [number(price), number(amount)]

    def unknown(self, symbol: str) -> dict[str, Any]:
        name = self.instruments[symbol].listing.exchange_symbol
        return {"ch": f"market.{name}.mystery", "ts": self.now_ms(), "tick": {}}


def _named(request: dict[str, Any]) -> dict[str, Any]:
    return {"id": request["id"]} if "id" in request else {}


def answered(body: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, headers=headers, content_type="application/json")
