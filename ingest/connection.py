"""One socket from its opening to its end: stamp and pass on every frame, answer the exchange, watch that it lives."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from ingest.exchanges.base import LONGEST_NAME, UNKNOWN_FRAME, Connector, Control, Route
from ingest.handover import Handover
from ingest.raw_writer import RawWriter
from ingest.retry_after import wait_of_handshake
from ingest.skips import Skips
from ingest.subscription import Subscription
from ingest.subscriptions import Subscriptions
from ingest.supervision import described
from ingest.watchdog import Watchdog
from schemas.errors import SymbolError
from schemas.feeds import from_exchange
from schemas.instruments import Instrument
from schemas.keys import UNKNOWN
from schemas.markers import Connected, Definition, Disconnected, Markers, Notice, Renewing

log = structlog.get_logger(__name__)

MAX_SIZE = 32 << 20  # bytes of one frame
_PING = 20.0  # s between WebSocket pings, and for their answer
_WATCH = 0.25  # s between looks at the connection
_STEP = 1_000_000_000  # ns by which our clock must jump to count as set


class Connection:
    """`run` lives as long as the socket and returns why it ended. `on_books(key)`: a book flows that needs a snapshot.

    `instruments`, by the exchange's name, are its carrier's own, and may change at any time. `leave` is done, with the
    reason, when the socket should be changed for another; `flowing` when every stream flows that the exchange takes and
    has been taken over from `predecessor`, if there is one. Who takes over is its `successor`. `wait`: seconds for
    which the exchange, refusing the socket, wants to be left alone.
    """

    def __init__(
        self,
        exchange: Connector,
        address: str,
        path: str,
        instruments: dict[str, Instrument],
        writer: RawWriter,
        watch: Watchdog,
        on_books: Callable[[str], None],
        predecessor: "Connection | None" = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.instruments = instruments
        self.channels = [channel for channel in exchange.paths[path] if channel in exchange.channels]
        self.frames = 0
        self.wait = 0.0
        self.leave: asyncio.Future[str] = loop.create_future()
        self.flowing: asyncio.Future[None] = loop.create_future()
        self.successor: Connection | None = None
        self._exchange = exchange
        self._address = address + path
        self._writer = writer
        self._on_books = on_books
        self._predecessor = predecessor
        chained = exchange.snapshots != "stream"
        self._handover = Handover(predecessor.subscriptions.streams, chained, writer.frame) if predecessor else None
        self.subscriptions: Subscriptions = Subscriptions(
            exchange, self.instruments, self.channels, writer, watch, self._handover, self._send, self._books_flow
        )
        self._watch_over = watch
        self._gone: set[str] = set()  # the exchange's names of what was unsubscribed here: its last frames are dropped
        self._odd = Skips(exchange.name, exchange.feed.exchange)
        self._socket: ClientConnection | None = None
        self._reason = ""
        self._log = log.bind(feed=exchange.name, exchange=exchange.feed.exchange, path=path)

    @property
    def open(self) -> bool:
        return self._socket is not None

    async def run(self) -> str:
        try:
            async with connect(
                self._address,
                max_size=MAX_SIZE,
                compression=self._exchange.compression,
                ping_interval=_PING,
                ping_timeout=_PING,
                close_timeout=1,
            ) as socket:
                return await self._live(socket)
        except InvalidStatus as error:
            self.wait = wait_of_handshake(error)
            return f"cannot connect to {self._address}: {error}"
        except (OSError, WebSocketException, TimeoutError) as error:
            return f"cannot connect to {self._address}: {error or type(error).__name__}"
        except Exception as error:  # noqa: BLE001 - it is this connection's alone
            self._log.exception("the connection failed by an error of our own")
            return f"an error of our own: {described(error)[:300]}"

    async def end(self, reason: str) -> None:
        """Close the socket; `run` returns this reason."""
        self._reason = self._reason or reason
        if self._socket is not None:
            await self._socket.close()

    def change(self, reason: str) -> None:
        """Have the socket changed for another without a break."""
        if not self.leave.done():
            self.leave.set_result(reason)

    def request_snapshot(self, symbol: str) -> None:
        """Have the exchange send a fresh book snapshot of its instrument `symbol`."""
        if instrument := self.instruments.get(symbol):
            levels = self._exchange.seed_levels()
            self._writer.marker(time.time_ns(), instrument.key, Definition(instrument, levels))
            self.subscriptions.request_snapshot(symbol)

    def add(self, symbols: Sequence[str]) -> None:
        """Take up what was added to `instruments`; the definitions are in the raw topic already."""
        self._gone.difference_update(symbols)
        if not self.open:
            return  # they will be subscribed with all others
        if not self._joins_another():
            now = time.time_ns()
            for symbol in symbols:
                self._writer.marker(now, self.instruments[symbol].key, Connected(channels=self.channels))
        self.subscriptions.subscribe(symbols)

    def remove(self, symbol: str) -> None:
        """Unsubscribe an instrument that was removed from `instruments`."""
        self._gone.add(symbol)
        for channel in self.channels:
            self._watch_over.forget(Route("data", symbol, channel))
        self.subscriptions.forget(symbol)

    def take_over(self) -> None:
        """The predecessor is gone: what it still had is ours."""
        if self._handover is not None:
            self._handover.finish(self.subscriptions.streams)

    def give_back(self) -> None:
        """The predecessor stays after all."""
        if self._handover is not None:
            self._handover.undo()

    def mark(self, marker: Markers) -> None:
        """A marker for each instrument."""
        now = time.time_ns()
        for instrument in self.instruments.values():
            self._writer.marker(now, instrument.key, marker)

    async def _live(self, socket: ClientConnection) -> str:
        self._socket = socket
        self._mark_begin()
        self.subscriptions.subscribe()
        self._log.info("connected", address=self._address, instruments=len(self.instruments))
        try:
            async with asyncio.TaskGroup() as tasks:
                helpers = [tasks.create_task(self.subscriptions.run()), tasks.create_task(self._watch())]
                await self._read(socket)
                for helper in helpers:
                    helper.cancel()
        except asyncio.CancelledError:
            self._reason = self._reason or "shutdown"
            raise
        finally:
            self._socket = None
            self._mark_end(self._reason or "ended by an error of our own")
        return self._reason

    def _mark_begin(self) -> None:
        now, begin = time.time_ns(), Renewing if self._joins_another() else Connected
        for instrument in self.instruments.values():
            self._writer.marker(now, instrument.key, Definition(instrument))
            self._writer.marker(now, instrument.key, begin(channels=self.channels))

    def _mark_end(self, reason: str) -> None:
        """Tell what is not carried any more: nothing, while another connection carries it."""
        if self._joins_another():
            return
        now = time.time_ns()
        for symbol, instrument in self.instruments.items():
            if lost := [channel for channel in self.channels if self._loses(symbol, channel)]:
                self._writer.marker(now, instrument.key, Disconnected(channels=lost, reason=reason))
                if self.successor is not None and self.successor.open:
                    self._writer.marker(now, instrument.key, Connected(channels=lost))

    def _takes_over(self) -> bool:
        return self._handover is not None and not self._handover.over

    def _joins_another(self) -> bool:
        return self._predecessor is not None and self._predecessor.open

    def _loses(self, symbol: str, channel: str) -> bool:
        """Whether this stream ends with this connection: not where the successor had it in time, or none was here."""
        if self.successor is None or not self.successor.open:
            return True
        route = Route("data", symbol, channel)
        here, there = self.subscriptions.streams.get(route), self.successor.subscriptions.streams.get(route)
        carried_on = there is not None and there.acknowledged_at > 0
        return not carried_on and here is not None and here.acknowledged_at > 0

    # Reading

    async def _read(self, socket: ClientConnection) -> None:
        receive, decode, route, clock = socket.recv, self._exchange.decode, self._exchange.route, time.time_ns
        streams = self.subscriptions.streams
        try:
            while True:
                # Bytes, not text: a text frame that is no UTF-8 goes on as it is, and is seen as rubbish there.
                received = await receive(decode=False)
                stamp = clock()
                self.frames += 1
                try:
                    frame = decode(received)
                    found = route(frame)
                except Exception as error:  # noqa: BLE001 - no frame may end the connection
                    self._odd.report("a frame that cannot be routed", repr(error))
                    frame, found = received, UNKNOWN_FRAME
                stream = streams.get(found)
                if stream is not None:
                    stream.write(stamp, stream.key, frame)
                    if not stream.last_message_at:
                        self.subscriptions.first_frame(stream)
                    stream.last_message_at = stamp
                elif found.kind == "control":
                    await self._on_control(frame)
                elif found.symbol not in self._gone:
                    self._writer.frame(stamp, self._key_of(found), frame)
        except ConnectionClosed as error:
            self._reason = self._reason or f"closed: {error}"

    def _key_of(self, found: Route) -> str:
        """The key of a frame that was not asked for; the unknown one where its instrument cannot be told."""
        exchange = self._exchange.feed.exchange
        if found.symbol in self.instruments:
            return self.instruments[found.symbol].key
        if not found.symbol or len(found.symbol) > LONGEST_NAME:
            return f"{exchange}:{UNKNOWN}"
        try:
            return f"{exchange}:{from_exchange(self._exchange.name, found.symbol)}"
        except SymbolError as error:
            self._exchange.skips.report(found.symbol, f"in a frame: {error}")
            return f"{exchange}:{UNKNOWN}"

    def _books_flow(self, stream: Subscription) -> None:
        """A book that goes on from the predecessor's needs no snapshot, nor one that brings its own."""
        if self._exchange.snapshots != "stream" and not self._takes_over():
            self._on_books(stream.key)

    async def _on_control(self, frame: bytes) -> None:
        """Whatever stands in it, a control frame does not end the connection."""
        control = self._exchange.control(frame)
        if control.answer:
            await self._send(control.answer)
        try:
            self._obey(control, frame)
        except Exception:  # noqa: BLE001 - the next frame may be a better one
            self._log.exception("a control frame could not be obeyed", frame=frame[:300].decode(errors="replace"))

    def _obey(self, control: Control, frame: bytes) -> None:
        if control.kind == "acknowledged":
            self.subscriptions.acknowledged(control)
        elif control.kind == "refused":
            self.subscriptions.refused(control)
        elif control.kind == "listing":
            self.subscriptions.listed(control)
        elif control.kind in ("closing", "notice"):
            self._log.warning("the exchange announces", kind=control.kind, reason=control.reason)
            self.mark(Notice(reason=control.reason))
            if control.kind == "closing":
                self.change(control.reason)
        elif control.kind == "unknown":
            self._odd.report("unknown control frame", frame[:200].decode(errors="replace"))

    async def _send(self, text: str) -> None:
        if self._socket is not None:
            with suppress(ConnectionClosed):  # the reader sees it as well, and tells
                await self._socket.send(text)

    # Watching

    async def _watch(self) -> None:
        exchange, opened = self._exchange, time.monotonic()
        heard, last_message_at, pinged, offset = 0, opened, False, _clock_offset()
        while True:
            await asyncio.sleep(_WATCH)
            now = time.monotonic()
            if abs(step := _clock_offset() - offset) > _STEP:
                offset += step
                self.subscriptions.shift(step)
                if not self._takes_over():  # else the predecessor does
                    self._watch_over.shift(step)
            if self.frames != heard:
                heard, last_message_at, pinged = self.frames, now, False
            if exchange.ping and not pinged and now - last_message_at >= exchange.ping_after:
                pinged = True
                await self._send(exchange.ping)
            if now - last_message_at >= exchange.connection_timeout_s:
                await self.end(f"silent for {now - last_message_at:.0f} s")
                return
            if now - opened >= exchange.lifetime:
                self.change("renewed before the exchange's limit")
            self._look_after_streams()

    def _look_after_streams(self) -> None:
        self.subscriptions.look_after()
        if not self.flowing.done() and self.subscriptions.flow():
            self.flowing.set_result(None)
        if not self._takes_over() and (reason := self.subscriptions.mend()):
            self.change(reason)


def _clock_offset() -> int:
    """ns by which the time of day is ahead of the clock that is never set."""
    return time.time_ns() - time.monotonic_ns()
