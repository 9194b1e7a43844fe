"""What the simulated exchanges share: a loopback server, streams, faults."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import orjson
from aiohttp import WSMessage, WSMsgType, hdrs, web
from aiohttp.typedefs import Handler

from marketprism.simulator.market.book import Levels
from marketprism.simulator.market.instrument import SimulatedInstrument
from marketprism.simulator.market.listings import Listing
from marketprism.simulator.plans import (
    BookFault,
    Definition,
    Fault,
    Mutate,
    Planted,
    RateLimit,
    Restart,
    SubscriptionFault,
    TimedFault,
)
from marketprism.simulator.server.book_faults import BookFaults
from marketprism.simulator.server.connection import Channel, Connection, Limits, Stream, now_ms
from marketprism.simulator.server.connection_faults import ConnectionFaults
from marketprism.simulator.server.mutation_faults import MutationFaults
from marketprism.simulator.server.rate_limits import RateLimits
from marketprism.simulator.server.subscription_faults import SubscriptionFaults
from marketprism.simulator.server.tasks import Tasks
from marketprism.simulator.server.timed_faults import TimedFaults
from schemas.errors import StackError

_CLOSE_TIMEOUT = 1.0  # s
_CROSSED = 4  # rank of the ask at whose price a crossing bid stands


class ExchangeServer(ABC):
    """One feed's exchange. A subclass speaks the protocol; the driver calls `step` a hundred times a second."""

    compress = False  # permessage-deflate, if the client offers it
    zipped = False  # frames are gzip
    stride = 1  # most by which one change of a book raises its sequence
    delay = 0  # steps by which the exchange lags behind the hidden price
    most_levels = 5000  # a side, that its snapshots can show
    heartbeat_close: ClassVar[tuple[int, str]]  # code and reason with which it ends what did not answer
    entry_changes: ClassVar[dict[str, dict[str, Any]]]  # fields of a listed entry, by the change that is planted
    chained_reset = False  # it documents that ids may start over without breaking the chain

    def __init__(self, feed: str, instruments: list[SimulatedInstrument], limits: Limits) -> None:
        self.feed = feed
        self.instruments = {instrument.listing.symbol: instrument for instrument in instruments}
        self.by_name = {instrument.listing.exchange_symbol: instrument for instrument in instruments}
        self.limits = limits
        self.streams: dict[str, Stream] = {}
        self.connections: set[Connection] = set()
        self.port = 0
        self._changes: dict[str, str] = {}  # of what is listed, by symbol
        self._tasks = Tasks()
        self._books = BookFaults(self)
        self._subscriptions = SubscriptionFaults()
        self._connections = ConnectionFaults(self, self._tasks)
        self._rates = RateLimits(self._tasks)
        self._timed = TimedFaults(self._tasks)
        self._mutations = MutationFaults(self._tasks)
        self._runner: web.AppRunner | None = None

    # The protocol

    @abstractmethod
    def routes(self) -> list[web.RouteDef]: ...

    @abstractmethod
    def step(self, number: int, rate: float, paused: bool) -> None:
        """Let every instrument trade for one step, unless paused, and send what is due."""

    def on_open(self, connection: Connection) -> None:  # noqa: B027 - not every exchange has any
        """What the address already asks for."""

    @abstractmethod
    async def on_text(self, connection: Connection, text: str) -> None: ...

    @abstractmethod
    async def watch(self, connection: Connection) -> None:
        """The exchange's heartbeat rule on one connection, for as long as it lives."""

    @abstractmethod
    def wrap(self, connection: Connection, stream: Stream, body: bytes) -> bytes: ...

    @abstractmethod
    def announce_shutdown(self, connection: Connection) -> None:
        """Tell of a planned end: an upgrade, a maintenance."""

    @abstractmethod
    def rate_limited(self, status: int, retry_after: int) -> web.Response:
        """What a REST request gets that came too often; `retry_after` in seconds."""

    @abstractmethod
    def frame_ids(self, payload: dict[str, Any]) -> dict[str, int]: ...

    @abstractmethod
    def sides(self, payload: dict[str, Any]) -> tuple[list[Any], list[Any]]: ...

    @abstractmethod
    def empty(self, payload: dict[str, Any]) -> None: ...

    @abstractmethod
    def unknown(self, symbol: str) -> dict[str, Any]: ...

    def announce_definition(self, symbol: str) -> None:  # noqa: B027 - not every exchange does
        """Tell who asked for it that an instrument's definition has changed."""

    def level(self, price: str, amount: str) -> list[Any]:
        """One level as the book's frames have it."""
        return [price, amount]

    async def on_frame(self, connection: Connection, kind: WSMsgType, data: bytes) -> None:
        """A ping or pong."""
        if kind is WSMsgType.PING:
            connection.send(data, WSMsgType.PONG, "ping")
        elif data == connection.awaited_pong:
            connection.awaited_pong = None

    def on_subscribed(self, connection: Connection, stream: Stream) -> None:  # noqa: B027
        """What a new subscriber gets at once, if anything."""

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
            raise StackError(f"{self.feed} cannot listen on 127.0.0.1:{port}: {error}; name another port") from None
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        self._tasks.cancel()
        for connection in self.connections:
            if connection.muted:
                connection.abort()
        await asyncio.gather(*(connection.close(1001) for connection in list(self.connections)))
        if self._runner is not None:
            await self._runner.cleanup()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """One WebSocket from its opening to its end."""
        socket = web.WebSocketResponse(
            autoping=False, autoclose=False, compress=self.compress, max_msg_size=1 << 16, timeout=_CLOSE_TIMEOUT
        )
        await socket.prepare(request)
        connection = Connection(request, socket, self.zipped, self._mutations.outgoing)
        self.connections.add(connection)
        tasks = [asyncio.create_task(connection.write()), asyncio.create_task(self.watch(connection))]
        try:
            self.on_open(connection)
            async for message in socket:
                if not connection.muted:
                    await self._on_message(connection, message)
            if connection.muted:
                await connection.gone()
        finally:
            for task in tasks:
                task.cancel()
            self._forget(connection)
        return socket

    async def _on_message(self, connection: Connection, message: WSMessage) -> None:
        connection.last_message_at = time.monotonic()
        if message.type is WSMsgType.TEXT:
            await self.on_text(connection, message.data)
        elif message.type in (WSMsgType.PING, WSMsgType.PONG):
            await self.on_frame(connection, message.type, bytes(message.data))

    def _forget(self, connection: Connection) -> None:
        self.connections.discard(connection)
        for stream in connection.streams.values():
            if stream is not None:
                stream.subscribers.discard(connection)
        self._subscriptions.on_gone(connection)
        self._connections.on_gone(connection)

    @web.middleware
    async def _admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.headers.get(hdrs.UPGRADE, "").lower() == "websocket":
            if self._connections.refuses_handshake():
                raise web.HTTPServiceUnavailable
        elif limit := self._rates.hit("rest"):
            return self.rate_limited(*limit)
        answer = await handler(request)
        if isinstance(answer, web.Response) and isinstance(answer.body, bytes):
            [answer.body] = self._mutations.outgoing("rest", answer.body)
        return answer

    # Definitions

    def entries(self, row: Callable[[Listing], dict[str, Any]]) -> list[dict[str, Any]]:
        """What is listed, as it is by now."""
        return [
            self._entry(instrument.listing, row)
            for symbol, instrument in self.instruments.items()
            if not self.is_gone(symbol)
        ]

    def entry(self, symbol: str, row: Callable[[Listing], dict[str, Any]]) -> dict[str, Any]:
        """One entry of the listing, also of what is gone."""
        return self._entry(self.instruments[symbol].listing, row)

    def _entry(self, listing: Listing, row: Callable[[Listing], dict[str, Any]]) -> dict[str, Any]:
        return row(listing) | self.entry_changes.get(self._changes.get(listing.symbol, ""), {})

    def is_gone(self, symbol: str) -> bool:
        return self._changes.get(symbol) == "gone"

    # Streams

    def add_stream(self, name: str, listing: Listing, channel: Channel) -> Stream:
        stream = self.streams[name] = Stream(name, listing.symbol, channel)
        return stream

    def subscribe(self, connection: Connection, name: str, stream: Stream | None) -> None:
        connection.streams[name] = stream
        if stream is not None and not self._subscriptions.silences(connection, stream):
            stream.subscribers.add(connection)
            self.on_subscribed(connection, stream)

    def unsubscribe(self, connection: Connection, name: str) -> None:
        stream = connection.streams.pop(name, None)
        if stream is not None:
            stream.subscribers.discard(connection)

    def publish(self, stream: Stream, payload: Callable[[], dict[str, Any]]) -> None:
        """Send to all subscribers what `payload` makes, with the faults that are due."""
        if not stream.subscribers or self.stalled(stream.symbol):
            return
        if stream.channel != "books":
            self._send(stream, orjson.dumps(payload()), False)
            return
        for outgoing in self._books.apply(stream.name, stream.symbol, payload()):
            if outgoing.raw is None:
                self._send(stream, orjson.dumps(outgoing.payload), outgoing.cut)
                continue
            for connection in stream.subscribers:
                connection.send(outgoing.raw, outgoing.opcode)

    def send_to(self, connections: Iterable[Connection], stream: Stream, payload: dict[str, Any]) -> None:
        """What only some of the subscribers get: the snapshot that they begin with."""
        body = orjson.dumps(payload)
        for connection in connections:
            connection.send(self.wrap(connection, stream, body), what="snapshot")

    def _send(self, stream: Stream, body: bytes, cut: bool) -> None:
        for connection in stream.subscribers:
            frame = self.wrap(connection, stream, body)
            connection.send(frame[: len(frame) // 2] if cut else frame)

    # Faults

    def plant(self, planted: Planted, plan: Fault) -> None:
        """Arm or do what was planted."""
        if isinstance(plan, BookFault):
            self._books.plant(planted, plan)
        elif isinstance(plan, Restart):
            before, after = self.restart(plan.symbol, self.chained_reset and not plan.hard)
            planted.result |= {"before": before, "after": after}
            planted.end()
        elif isinstance(plan, SubscriptionFault):
            self._subscriptions.plant(planted, plan, self.streams.values())
        elif isinstance(plan, Definition):
            self._changes[plan.symbol] = plan.change
            self.announce_definition(plan.symbol)
            planted.end()
        elif isinstance(plan, RateLimit):
            self._rates.plant(planted, plan)
        elif isinstance(plan, Mutate):
            self._mutations.plant(planted, plan)
        elif isinstance(plan, TimedFault):
            self._timed.plant(planted, plan)
        else:
            self._connections.plant(planted, plan)

    def now_ms(self) -> int:
        """The exchange's own clock, of which the times in payloads are."""
        return now_ms() + self._timed.clock_offset

    def stalled(self, symbol: str) -> bool:
        return self._timed.stalled(symbol) or self.is_gone(symbol)

    def refuses(self, *streams: Stream | None) -> bool:
        """Whether a request to subscribe to these streams is to be refused; counts as one request."""
        gone = any(stream is not None and self.is_gone(stream.symbol) for stream in streams)
        return self._subscriptions.refuses(streams) or gone

    def too_frequent(self) -> bool:
        """Whether a request to subscribe is to be answered as one too many; counts it."""
        return self._rates.hit("ws") is not None

    def restart(self, symbol: str, chained: bool) -> tuple[int, int]:
        """Let a book's ids start over, with the chain of updates intact or not; the ids before and after."""
        book = self.instruments[symbol].book
        before = book.sequence
        book.restart(chained)
        return before, book.sequence

    def crossing(self, symbol: str) -> tuple[str, str]:
        """Price and amount of a bid that crosses the true book."""
        instrument = self.instruments[symbol]
        return instrument.listing.price_text(instrument.book.asks.at(_CROSSED)), instrument.listing.amount_text(1)


def text_levels(listing: Listing, levels: Levels) -> list[list[str]]:
    return [[listing.price_text(price), listing.amount_text(amount)] for price, amount in levels]
