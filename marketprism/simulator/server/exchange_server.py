"""Base class of the simulated exchanges: a loopback server with streams and faults."""

import asyncio
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import orjson
from aiohttp import WSMessage, WSMsgType, hdrs, web
from aiohttp.typedefs import Handler

from marketprism.simulator.market.instrument import SimulatedInstrument
from marketprism.simulator.market.listings import Listing
from marketprism.simulator.plans import (
    BookFault,
    Definition,
    Fault,
    Mutate,
    Planted,
    ProtocolChange,
    RateLimit,
    Restart,
    SubscriptionFault,
    TimedFault,
)
from marketprism.simulator.server.book_faults import BookFaults, Dialect
from marketprism.simulator.server.connection import Connection, Limits, Stream, now_ms
from marketprism.simulator.server.connection_faults import ConnectionFaults
from marketprism.simulator.server.mutation_faults import MutationFaults
from marketprism.simulator.server.protocol_changes import ProtocolChanges
from marketprism.simulator.server.rate_limits import RateLimits
from marketprism.simulator.server.subscription_faults import SubscriptionFaults
from marketprism.simulator.server.tasks import Tasks
from marketprism.simulator.server.timed_faults import TimedFaults
from schemas.errors import StackError

_CLOSE_TIMEOUT = 1.0  # s
_CROSSED_RANK = 4  # of the ask at whose price a crossing bid is placed


class ExchangeServer(Dialect):
    """Server of one feed. A subclass implements the protocol; the driver calls `step` a hundred times a second."""

    compress = False  # use permessage-deflate if the client offers it
    gzipped = False  # send text as gzip in binary frames
    max_id_step = 1  # maximum by which one change of a book raises its sequence
    lag_steps = 0  # steps by which the exchange lags behind the hidden price
    max_levels = 5000  # of each side of a snapshot
    heartbeat_close: ClassVar[tuple[int, str]]  # code and reason of the close after an unanswered heartbeat
    entry_changes: ClassVar[dict[str, dict[str, Any]]]  # changed fields of a listed entry, by planted change
    chained_reset = False  # whether ids may officially restart without breaking the chain

    def __init__(self, feed: str, instruments: list[SimulatedInstrument], limits: Limits) -> None:
        self.feed = feed
        self.instruments = {instrument.listing.symbol: instrument for instrument in instruments}
        self.by_exchange_symbol = {instrument.listing.exchange_symbol: instrument for instrument in instruments}
        self.limits = limits
        self.streams: dict[str, Stream] = {}
        self.connections: set[Connection] = set()
        self.port = 0
        self._definition_changes: dict[str, str] = {}  # by symbol
        self._tasks = Tasks()
        self._books = BookFaults(self)
        self._subscriptions = SubscriptionFaults()
        self._connections = ConnectionFaults(self, self._tasks)
        self._rate_limits = RateLimits(self._tasks)
        self._timed = TimedFaults(self._tasks)
        self._mutations = MutationFaults(self._tasks)
        self._changes = ProtocolChanges(self._tasks)
        self._runner: web.AppRunner | None = None

    # The protocol

    @abstractmethod
    def routes(self) -> list[web.RouteDef]:
        """Return the paths of WebSockets and REST requests."""

    @abstractmethod
    def step(self, number: int, rate: float, paused: bool) -> None:
        """Run every instrument for one step, unless paused, and publish the data that are due."""

    def on_open(self, connection: Connection) -> None:
        """Handle a new connection: subscribe to the streams that its address names."""

    @abstractmethod
    async def on_text(self, connection: Connection, text: str) -> None:
        """Handle a control message."""

    @abstractmethod
    async def enforce_heartbeat(self, connection: Connection) -> None:
        """Apply the exchange's heartbeat rules to one connection until cancelled."""

    def wrap(self, connection: Connection, stream: Stream, body: bytes) -> bytes:
        """Return a stream's frame as it is sent to this connection."""
        return body

    @abstractmethod
    def announce_shutdown(self, connection: Connection) -> None:
        """Announce to a client that its connection will be closed for an upgrade or a maintenance."""

    @abstractmethod
    def rate_limited(self, status: int, retry_after: int) -> web.Response:
        """Return the response to a REST request beyond the rate limit; `retry_after` in seconds."""

    def announce_definition(self, symbol: str) -> None:
        """Announce a changed definition to those who subscribed to such announcements."""

    async def on_frame(self, connection: Connection, kind: WSMsgType, data: bytes) -> None:
        """Handle a ping or pong frame."""
        if kind is WSMsgType.PING:
            connection.send(data, WSMsgType.PONG, "ping")
        elif data == connection.expected_pong:
            connection.expected_pong = None

    def on_subscribed(self, connection: Connection, stream: Stream) -> None:
        """Handle a new subscriber: send it the snapshot that the exchange sends at once."""

    # Serving

    async def start(self, port: int = 0) -> None:
        """Listen on loopback; `StackError` if the port is taken."""
        app = web.Application(middlewares=[self._admit])
        app.add_routes(self.routes())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_CLOSE_TIMEOUT)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise StackError(f"{self.feed} cannot listen on 127.0.0.1:{port}: {error}; choose another port") from None
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """End all faults and close all connections."""
        self._tasks.cancel()
        for connection in self.connections:
            if connection.muted:
                connection.abort()
        await asyncio.gather(*(connection.close(1001) for connection in list(self.connections)))
        if self._runner is not None:
            await self._runner.cleanup()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one WebSocket until it is closed."""
        socket = web.WebSocketResponse(
            autoping=False, autoclose=False, compress=self.compress, max_msg_size=1 << 16, timeout=_CLOSE_TIMEOUT
        )
        await socket.prepare(request)
        connection = Connection(request, socket, self.gzipped, self._mutations.outgoing)
        self.connections.add(connection)
        tasks = [asyncio.create_task(connection.write()), asyncio.create_task(self.enforce_heartbeat(connection))]
        try:
            self.on_open(connection)
            async for message in socket:
                if not connection.muted:
                    await self._on_message(connection, message)
            if connection.muted:
                await connection.wait_closed()
        finally:
            for task in tasks:
                task.cancel()
            self._remove(connection)
        return socket

    async def _on_message(self, connection: Connection, message: WSMessage) -> None:
        connection.last_message_at = time.monotonic()
        if message.type is WSMsgType.TEXT:
            await self.on_text(connection, message.data)
        elif message.type in (WSMsgType.PING, WSMsgType.PONG):
            await self.on_frame(connection, message.type, bytes(message.data))

    def _remove(self, connection: Connection) -> None:
        self.connections.discard(connection)
        for stream in connection.streams.values():
            if stream is not None:
                stream.subscribers.discard(connection)
        self._subscriptions.on_disconnect(connection)
        self._connections.on_disconnect(connection)

    @web.middleware
    async def _admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self._changes.is_gone(request.path):
            raise web.HTTPNotFound
        if request.headers.get(hdrs.UPGRADE, "").lower() == "websocket":
            if self._connections.rejects_handshake():
                raise web.HTTPServiceUnavailable
        elif limit := self._rate_limits.count_request("rest"):
            return self.rate_limited(*limit)
        response = await handler(request)
        if isinstance(response, web.Response) and isinstance(response.body, bytes):
            [response.body] = self._mutations.outgoing("rest", response.body)
        return response

    # Definitions

    def entries(self, row: Callable[[Listing], dict[str, Any]]) -> list[dict[str, Any]]:
        """Return all listed entries, with their planted changes."""
        return [
            self._entry(instrument.listing, row)
            for symbol, instrument in self.instruments.items()
            if not self.is_gone(symbol)
        ]

    def entry(self, symbol: str, row: Callable[[Listing], dict[str, Any]]) -> dict[str, Any]:
        """Return one instrument's entry, even if it is no longer listed."""
        return self._entry(self.instruments[symbol].listing, row)

    def _entry(self, listing: Listing, row: Callable[[Listing], dict[str, Any]]) -> dict[str, Any]:
        return row(listing) | self.entry_changes.get(self._definition_changes.get(listing.symbol, ""), {})

    def is_gone(self, symbol: str) -> bool:
        """Return whether the instrument is no longer listed."""
        return self._definition_changes.get(symbol) == "gone"

    # Streams

    def add_stream(self, name: str, listing: Listing, channel: str) -> Stream:
        """Offer a stream under the exchange's name of it, or let the instrument share the stream of that name."""
        stream = self.streams.setdefault(name, Stream(name, listing.symbol, channel))
        stream.sharing |= {listing.symbol} - {stream.symbol}
        return stream

    def subscribe(self, connection: Connection, name: str, stream: Stream | None) -> None:
        """Subscribe a connection to a stream; `None` is acknowledged, but without data."""
        connection.streams[name] = stream
        if stream is not None and not self._subscriptions.silences(connection, stream):
            stream.subscribers.add(connection)
            self.on_subscribed(connection, stream)

    def unsubscribe(self, connection: Connection, name: str) -> None:
        stream = connection.streams.pop(name, None)
        if stream is not None:
            stream.subscribers.discard(connection)

    def publish(self, stream: Stream, payload: Callable[[], dict[str, Any]]) -> None:
        """Send a stream's payload to all its subscribers, with the faults that strike it."""
        if not stream.subscribers or self.withholds(stream):
            return
        if stream.channel != "books":
            self._send(stream, orjson.dumps(self._changes.apply(stream, payload())), False)
            return
        for outgoing in self._books.apply(stream.name, stream.symbol, self._changes.apply(stream, payload())):
            if outgoing.raw is None:
                self._send(stream, orjson.dumps(outgoing.payload), outgoing.cut)
                continue
            for connection in stream.subscribers:
                connection.send(outgoing.raw, outgoing.opcode)

    def send_to(self, connections: Iterable[Connection], stream: Stream, payload: dict[str, Any]) -> None:
        """Send some of a stream's subscribers a payload of their own: their first snapshot."""
        body = orjson.dumps(self._changes.apply(stream, payload))
        for connection in connections:
            connection.send(self.wrap(connection, stream, body), kind="snapshot")

    def _send(self, stream: Stream, body: bytes, cut: bool) -> None:
        for connection in stream.subscribers:
            frame = self.wrap(connection, stream, body)
            connection.send(frame[: len(frame) // 2] if cut else frame)

    # Faults

    def plant(self, planted: Planted, plan: Fault) -> None:
        """Arm or carry out a fault."""
        if isinstance(plan, BookFault):
            self._books.plant(planted, plan)
        elif isinstance(plan, Restart):
            before, after = self.restart(plan.symbol, self.chained_reset and not plan.hard)
            planted.result |= {"before": before, "after": after}
            planted.end()
        elif isinstance(plan, SubscriptionFault):
            self._subscriptions.plant(planted, plan, self.streams.values())
        elif isinstance(plan, Definition):
            self._definition_changes[plan.symbol] = plan.change
            self.announce_definition(plan.symbol)
            planted.end()
        elif isinstance(plan, RateLimit):
            self._rate_limits.plant(planted, plan)
        elif isinstance(plan, Mutate):
            self._mutations.plant(planted, plan)
        elif isinstance(plan, ProtocolChange):
            self._changes.plant(planted, plan)
        elif isinstance(plan, TimedFault):
            self._timed.plant(planted, plan)
        else:
            self._connections.plant(planted, plan)

    def now_ms(self) -> int:
        """Return the exchange's own time in ms, as used in payloads."""
        return now_ms() + self._timed.clock_offset

    def is_stalled(self, symbol: str) -> bool:
        """Return whether data of this symbol are withheld."""
        return self._timed.is_stalled(symbol) or self.is_gone(symbol)

    def withholds(self, stream: Stream) -> bool:
        """Return whether a stream's data are withheld: those of all instruments that share it."""
        return self.is_stalled(stream.symbol) and all(self.is_stalled(symbol) for symbol in stream.sharing)

    def rejects(self, *streams: Stream | None) -> bool:
        """Count one request to subscribe to these streams, and return whether it is rejected."""
        gone = any(
            stream is not None and all(self.is_gone(symbol) for symbol in (stream.symbol, *stream.sharing))
            for stream in streams
        )
        return self._subscriptions.rejects(streams) or gone

    def exceeds_subscribe_limit(self) -> bool:
        """Count a request to subscribe, and return whether a planted rate limit rejects it."""
        return self._rate_limits.count_request("ws") is not None

    def restart(self, symbol: str, chained: bool) -> tuple[int, int]:
        """Restart a book's ids, keeping the chain of updates intact or not; return the ids before and after."""
        book = self.instruments[symbol].book
        before = book.sequence
        book.restart(chained)
        return before, book.sequence

    def crossing_bid(self, symbol: str) -> tuple[str, str]:
        """Return price and amount of a bid that crosses the true book."""
        instrument = self.instruments[symbol]
        return instrument.listing.price_text(instrument.book.asks.at(_CROSSED_RANK)), instrument.listing.amount_text(1)


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return a REST response with a JSON body."""
    return web.Response(body=orjson.dumps(body), status=status, headers=headers, content_type="application/json")
