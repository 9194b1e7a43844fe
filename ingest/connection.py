"""One socket from its opening to its end: subscribe, stamp and pass on every frame, watch that it lives."""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

import structlog
from aiolimiter import AsyncLimiter
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from ingest.acknowledgements import Acknowledgements
from ingest.exchanges.base import Control, ExchangeFeed, Request, Route
from ingest.raw_writer import RawWriter
from schemas.errors import SymbolError
from schemas.instruments import Instrument
from schemas.raw import UNKNOWN
from schemas.symbols import from_exchange

log = structlog.get_logger(__name__)

MAX_SIZE = 32 << 20  # bytes of one frame
_WATCH = 0.25  # s between looks at the connection
_SILENT_STREAM = 60.0  # s after which an acknowledged stream that never sent is told


class Stream:
    """One subscribed channel of one instrument: what is known of it on this connection."""

    __slots__ = ("acknowledged_at", "channel", "heard", "key", "symbol", "told")

    def __init__(self, key: str, route: Route) -> None:
        self.key, self.symbol, self.channel = key, route.symbol, route.channel
        self.acknowledged_at = 0.0
        self.heard = False
        self.told = False


class Connection:
    """`run` lives as long as the socket and returns why it ended. `on_books(key)`: a books stream is known to flow."""

    def __init__(
        self,
        exchange: ExchangeFeed,
        address: str,
        instruments: Iterable[Instrument],
        writer: RawWriter,
        on_books: Callable[[str], None],
    ) -> None:
        self.instruments = {instrument.exchange_symbol: instrument for instrument in instruments}
        self.frames = 0
        self._exchange = exchange
        self._address = address + exchange.path
        self._writer = writer
        self._on_books = on_books
        self._streams: dict[Route, Stream] = {}
        self._acknowledgements = Acknowledgements()
        self._ids = itertools.count(1)
        self._limiter = AsyncLimiter(*exchange.messages)
        self._socket: ClientConnection | None = None
        self._reason = ""
        self._controls = 0
        self._listed = False
        self._log = log.bind(feed=exchange.name, exchange=exchange.feed.exchange)

    @property
    def open(self) -> bool:
        return self._socket is not None

    async def run(self) -> str:
        try:
            async with connect(
                self._address,
                max_size=MAX_SIZE,
                compression=self._exchange.compression,
                ping_interval=20,
                ping_timeout=20,
                close_timeout=1,
            ) as socket:
                return await self._live(socket)
        except (OSError, WebSocketException, TimeoutError) as error:
            return f"cannot connect to {self._address}: {error or type(error).__name__}"

    async def end(self, reason: str) -> None:
        """Close the socket; `run` returns this reason."""
        self._reason = self._reason or reason
        if self._socket is not None:
            await self._socket.close()

    async def resubscribe_books(self, symbol: str) -> None:
        """Have the exchange send a fresh book snapshot of its instrument `symbol`."""
        instrument = self.instruments[symbol]
        self._writer.marker(time.time_ns(), instrument.key, "instrument", **instrument.model_dump())
        await self._ask(self._exchange.resubscribe_books(symbol, self._ids))

    async def _live(self, socket: ClientConnection) -> str:
        self._socket = socket
        self._mark_each("connected")
        self._log.info("connected", address=self._address, instruments=len(self.instruments))
        try:
            async with asyncio.TaskGroup() as tasks:
                helpers = [tasks.create_task(self._subscribe()), tasks.create_task(self._watch())]
                await self._read(socket)
                for helper in helpers:
                    helper.cancel()
        except asyncio.CancelledError:
            self._reason = self._reason or "shutdown"
            raise
        finally:
            self._socket = None
            self._mark_each("disconnected", reason=self._reason or "ended by an error of our own")
        return self._reason

    def _mark_each(self, kind: str, **fields: str) -> None:
        now = time.time_ns()
        for instrument in self.instruments.values():
            if kind == "connected":
                self._writer.marker(now, instrument.key, "instrument", **instrument.model_dump())
            self._writer.marker(now, instrument.key, kind, **fields)

    # Reading

    async def _read(self, socket: ClientConnection) -> None:
        receive, route, write, clock = socket.recv, self._exchange.route, self._writer.frame, time.time_ns
        streams = self._streams
        try:
            while True:
                # Bytes, not text: a text frame that is no UTF-8 goes on as it is, and is seen as rubbish there.
                frame = await receive(decode=False)
                stamp = clock()
                self.frames += 1
                found = route(frame)
                stream = streams.get(found)
                if stream is not None:
                    write(stamp, stream.key, frame)
                    if not stream.heard:
                        self._first_frame(stream)
                elif found.kind == "control":
                    self._controls += 1
                    self._on_control(frame)
                else:
                    write(stamp, self._key_of(found), frame)
        except ConnectionClosed as error:
            self._reason = self._reason or f"closed: {error}"

    def _key_of(self, found: Route) -> str:
        """The key of a frame that was not asked for; the unknown one where its instrument cannot be told."""
        exchange = self._exchange.feed.exchange
        if found.symbol in self.instruments:
            return self.instruments[found.symbol].key
        try:
            return f"{exchange}:{from_exchange(self._exchange.name, found.symbol)}"
        except SymbolError:
            return f"{exchange}:{UNKNOWN}"

    def _first_frame(self, stream: Stream) -> None:
        stream.heard = True
        if stream.told:
            self._log.info("a silent stream sends again", symbol=stream.symbol, channel=stream.channel)
        if stream.channel == "books" and stream.acknowledged_at:
            self._on_books(stream.key)

    # Subscriptions

    async def _subscribe(self) -> None:
        await self._ask(self._exchange.subscribe(self.instruments, self._ids))

    async def _ask(self, requests: list[Request]) -> None:
        for request in requests:
            for route in request.routes:
                self._streams.setdefault(route, Stream(self.instruments[route.symbol].key, route))
            await self._limiter.acquire()
            self._acknowledgements.ask(request, time.monotonic())
            await self._send(request.text)

    async def _send(self, text: str) -> None:
        if self._socket is not None:
            with suppress(ConnectionClosed):  # the reader sees it as well, and tells
                await self._socket.send(text)

    def _on_control(self, frame: bytes) -> None:
        control = self._exchange.control(frame)
        if control.kind == "acknowledged":
            self._on_acknowledged(control)
        elif control.kind == "refused":
            if not self._acknowledgements.refuse(control.id, control.reason, time.monotonic()):
                self._log.warning("the exchange reports an error", reason=control.reason)
        elif control.kind == "listing":
            reason = "acknowledged, but not among the subscriptions that the exchange lists"
            self._on_refused([(route, reason) for route in self._acknowledgements.missing(control.routes)])
        elif control.kind == "closing":
            self._log.info("the exchange announces that it closes the connection", reason=control.reason)
            self._reason = self._reason or control.reason
        elif control.kind == "unknown":
            self._log.warning("unknown control frame", frame=frame[:300].decode(errors="replace"))

    def _on_acknowledged(self, control: Control) -> None:
        now, channels = time.monotonic(), dict[str, list[str]]()
        for route in self._acknowledgements.acknowledge(control.id, control.routes):
            stream = self._streams[route]
            stream.acknowledged_at = now
            channels.setdefault(stream.key, []).append(stream.channel)
        for key, names in channels.items():
            self._writer.marker(time.time_ns(), key, "subscribed", channels=names)
            if "books" in names and any(
                s.heard for s in self._streams.values() if (s.key, s.channel) == (key, "books")
            ):
                self._on_books(key)

    def _on_refused(self, refused: list[tuple[Route, str]]) -> None:
        for route, reason in refused:
            stream = self._streams[route]
            stream.acknowledged_at = 0.0
            self._writer.marker(time.time_ns(), stream.key, "refused", channels=[stream.channel], reason=reason)
            self._log.error("subscription refused", symbol=stream.symbol, channel=stream.channel, reason=reason)

    # Watching

    async def _watch(self) -> None:
        exchange, opened = self._exchange, time.monotonic()
        heard, heard_at, pinged = 0, opened, False
        while True:
            await asyncio.sleep(_WATCH)
            now = time.monotonic()
            self._on_refused(self._acknowledgements.overdue(now))
            await self._list(now - opened)
            if self.frames != heard:
                heard, heard_at, pinged = self.frames, now, False
            if exchange.ping and not pinged and now - heard_at >= exchange.ping_after:
                pinged = True
                await self._send(exchange.ping)
            if reason := self._reason or self._old_or_silent(now - opened, now - heard_at):
                await self.end(reason)
                return
            self._tell_silent_streams(now)

    def _old_or_silent(self, age: float, silent: float) -> str:
        if silent >= self._exchange.silence:
            return f"silent for {silent:.0f} s"
        return "renewed before the exchange's limit" if age >= self._exchange.lifetime else ""

    async def _list(self, age: float) -> None:
        """Once all is acknowledged: have the exchange list what it took."""
        if self._listed or not self._acknowledgements.acknowledged or not self._acknowledgements.settled:
            return
        self._listed = True
        if request := self._exchange.listing_request():
            await self._limiter.acquire()
            await self._send(request)

    def _tell_silent_streams(self, now: float) -> None:
        for stream in self._streams.values():
            waiting = stream.acknowledged_at and not stream.heard and not stream.told
            if waiting and now - stream.acknowledged_at > _SILENT_STREAM:
                stream.told = True
                self._log.warning("subscribed but silent", symbol=stream.symbol, channel=stream.channel)
