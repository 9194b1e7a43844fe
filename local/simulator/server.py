"""What the simulated exchanges share: a loopback server, streams, faults."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from local.simulator.book import Levels
from local.simulator.connection import Connection, Limits, Stream
from local.simulator.faults import BookFault, BookFaults, Disconnect, Plan, Planted, Shutdown, Stall
from local.simulator.instrument import SimulatedInstrument
from local.simulator.listings import Listing
from schemas.errors import StackError

_CLOSE_TIMEOUT = 1.0  # s


class ExchangeServer(ABC):
    """One feed's exchange. A subclass speaks the protocol; the driver calls `step` a hundred times a second."""

    compress = False  # permessage-deflate, if the client offers it
    stride = 1  # most by which one change of a book raises its sequence
    delay = 0  # steps by which the exchange lags behind the hidden price
    most_levels = 5000  # a side, that its snapshots can show

    def __init__(self, feed: str, instruments: list[SimulatedInstrument], limits: Limits) -> None:
        self.feed = feed
        self.instruments = {instrument.listing.symbol: instrument for instrument in instruments}
        self.by_name = {instrument.listing.exchange_symbol: instrument for instrument in instruments}
        self.limits = limits
        self.streams: dict[str, Stream] = {}
        self.connections: set[Connection] = set()
        self.port = 0
        self._faults = BookFaults(self)
        self._stalls: list[tuple[float, str, Planted]] = []  # until, symbol or "" for all
        self._tasks: set[asyncio.Task[None]] = set()
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
    def announce_shutdown(self, connection: Connection) -> None: ...

    @abstractmethod
    def frame_ids(self, payload: dict[str, Any]) -> dict[str, int]: ...

    @abstractmethod
    def sides(self, payload: dict[str, Any]) -> tuple[list[Any], list[Any]]: ...

    @abstractmethod
    def empty(self, payload: dict[str, Any]) -> None: ...

    @abstractmethod
    def unknown(self, symbol: str) -> dict[str, Any]: ...

    async def on_frame(self, connection: Connection, kind: WSMsgType, data: bytes) -> None:
        """A ping or pong."""
        if kind is WSMsgType.PING:
            connection.send(data, WSMsgType.PONG)
        elif data == connection.awaited_pong:
            connection.awaited_pong = None

    def on_subscribed(self, connection: Connection, stream: Stream) -> None:  # noqa: B027
        """What a new subscriber gets at once, if anything."""

    # Serving

    async def start(self, port: int = 0) -> None:
        """Listen on loopback; `StackError` if the port is taken."""
        app = web.Application()
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
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*(connection.close(1001) for connection in list(self.connections)))
        if self._runner is not None:
            await self._runner.cleanup()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """One WebSocket from its opening to its end."""
        socket = web.WebSocketResponse(
            autoping=False, compress=self.compress, max_msg_size=1 << 16, timeout=_CLOSE_TIMEOUT
        )
        await socket.prepare(request)
        connection = Connection(request, socket)
        self.connections.add(connection)
        tasks = [asyncio.create_task(connection.write()), asyncio.create_task(self.watch(connection))]
        try:
            self.on_open(connection)
            async for message in socket:
                connection.heard_at = time.monotonic()
                if message.type is WSMsgType.TEXT:
                    await self.on_text(connection, message.data)
                elif message.type in (WSMsgType.PING, WSMsgType.PONG):
                    await self.on_frame(connection, message.type, bytes(message.data))
        finally:
            for task in tasks:
                task.cancel()
            self.connections.discard(connection)
            for stream in connection.streams.values():
                if stream is not None:
                    stream.subscribers.discard(connection)
        return socket

    # Streams

    def add_stream(self, name: str, listing: Listing, book: bool = False) -> Stream:
        stream = self.streams[name] = Stream(name, listing.symbol, book)
        return stream

    def subscribe(self, connection: Connection, name: str, stream: Stream | None) -> None:
        connection.streams[name] = stream
        if stream is not None:
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
        if not stream.book:
            self._send(stream, orjson.dumps(payload()), False)
            return
        for outgoing in self._faults.apply(stream.name, stream.symbol, payload()):
            if outgoing.raw is None:
                self._send(stream, orjson.dumps(outgoing.payload), outgoing.cut)
                continue
            for connection in stream.subscribers:
                connection.send(outgoing.raw, outgoing.opcode)

    def _send(self, stream: Stream, body: bytes, cut: bool) -> None:
        for connection in stream.subscribers:
            frame = self.wrap(connection, stream, body)
            connection.send(frame[: len(frame) // 2] if cut else frame)

    # Faults

    def plant(self, planted: Planted) -> None:
        """Arm or do what was planted; everything but arbitrage, which takes two exchanges."""
        plan: Plan = planted.plan
        symbol = getattr(plan, "symbol", "")
        if isinstance(plan, BookFault):
            self._faults.arm(planted, symbol)
        elif isinstance(plan, Stall):
            planted.start()
            self._stalls.append((time.monotonic() + plan.seconds, symbol, planted))
        elif isinstance(plan, Disconnect):
            self._disconnect(planted, plan)
        elif isinstance(plan, Shutdown):
            planted.start()
            self._spawn(self._shut_down(planted, plan))

    def stalled(self, symbol: str) -> bool:
        return any(which in ("", symbol) for _, which, _ in self._stalls)

    def end_stalls(self) -> None:
        """Called each step: let go of the stalls that are over."""
        now = time.monotonic()
        for stall in [stall for stall in self._stalls if now >= stall[0]]:
            self._stalls.remove(stall)
            stall[2].end()

    def _disconnect(self, planted: Planted, plan: Disconnect) -> None:
        hit = [connection for connection in self.connections if _carries(connection, plan.symbol)]
        planted.start()
        planted.result["connections"] = len(hit)
        for connection in hit:
            if plan.close_frame:
                self._spawn(connection.close(plan.code))
            else:
                connection.abort()
        planted.end()

    async def _shut_down(self, planted: Planted, plan: Shutdown) -> None:
        told = list(self.connections)
        for connection in told:
            self.announce_shutdown(connection)
        await asyncio.sleep(plan.seconds)
        planted.result["connections"] = len(told)
        await asyncio.gather(*(connection.close(1001) for connection in told))
        planted.end()

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _carries(connection: Connection, symbol: str) -> bool:
    return not symbol or any(stream is not None and stream.symbol == symbol for stream in connection.streams.values())


def text_levels(listing: Listing, levels: Levels) -> list[list[str]]:
    return [[listing.price_text(price), listing.amount_text(amount)] for price, amount in levels]
