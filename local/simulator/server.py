"""What all simulated exchanges share: a loopback server, its clients, the beat of the market, faults."""

import asyncio
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable

import structlog
from aiohttp import WSCloseCode, WSMsgType, web

from local.simulator.faults import BookFaults, Fault
from local.simulator.market import Changes, Listing, TrueBook
from schemas.errors import StackError

log = structlog.get_logger(__name__)


class Client:
    """One socket: frames leave in order through its queue; `names` are the streams it subscribed to."""

    def __init__(self, socket: web.WebSocketResponse, path: str) -> None:
        self.socket = socket
        self.path = path
        self.names: set[str] = set()
        self.queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.stalled_until = 0.0
        self.sent_at = time.monotonic()
        self.wrapped = True

    async def write(self) -> None:
        while True:
            frame = await self.queue.get()
            while (pause := self.stalled_until - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            writer = self.socket._writer
            if writer is None or self.socket.closed:
                return
            # Not `send_str`: a frame may be bytes that are no UTF-8, as text frames of a faulty server are.
            await writer.send_frame(frame, WSMsgType.TEXT)
            self.sent_at = time.monotonic()


class SimulatedExchange(ABC):
    """One feed's server. Subclasses speak the protocol; the market moves each `interval` seconds."""

    feed: str
    listings: tuple[Listing, ...]
    delay: int  # steps that its prices lag behind the hidden one

    def __init__(self, books: dict[str, TrueBook], interval: float, quotes: int, seed: int) -> None:
        self.books = books
        self.by_name = {book.listing.exchange_symbol: book for book in books.values()}
        self.clients: list[Client] = []
        self.faults = BookFaults()
        self.port = 0
        self.refuse_connections = False
        self.random = random.Random(seed)
        self._interval = interval
        self._quotes = quotes
        self._runner: web.AppRunner | None = None

    async def start(self, port: int = 0) -> None:
        app = web.Application()
        app.add_routes(self.routes())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port or self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        for client in list(self.clients):
            await client.socket.close(code=WSCloseCode.GOING_AWAY)
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def endpoint(self) -> dict[str, str]:
        return {"ws": f"ws://127.0.0.1:{self.port}", "rest": f"http://127.0.0.1:{self.port}"}

    # The protocol

    @abstractmethod
    def routes(self) -> Iterable[web.RouteDef]: ...

    @abstractmethod
    async def on_message(self, client: Client, text: str) -> None: ...

    @abstractmethod
    def book_frame(self, book: TrueBook, changes: Changes) -> tuple[str, bytes]: ...

    @abstractmethod
    def quote_frame(self, book: TrueBook) -> tuple[str, bytes]: ...

    @abstractmethod
    def trade_frame(self, book: TrueBook) -> tuple[str, bytes]: ...

    @abstractmethod
    def advance(self, book: TrueBook) -> None:
        """Use up the ids of one change."""

    async def socket(self, request: web.Request, heartbeat: float | None, idle: float | None) -> web.WebSocketResponse:
        """Serve one client: `heartbeat` seconds between pings, `idle` seconds without traffic until it is cut."""
        if self.refuse_connections:
            raise web.HTTPServiceUnavailable
        socket = web.WebSocketResponse(heartbeat=heartbeat, max_msg_size=1 << 20, compress=False)
        await socket.prepare(request)
        client = Client(socket, request.path)
        self.clients.append(client)
        self.on_open(client, request)
        writer = asyncio.create_task(client.write())
        try:
            while not socket.closed:
                try:
                    message = await socket.receive(timeout=idle)
                except TimeoutError:
                    if idle and time.monotonic() - client.sent_at > idle:
                        await socket.close(code=4004)
                    continue
                if message.type is WSMsgType.TEXT:
                    await self.on_message(client, message.data)
                elif message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR):
                    break
        finally:
            writer.cancel()
            self.clients.remove(client)
        return socket

    @abstractmethod
    def on_open(self, client: Client, request: web.Request) -> None:
        """A client came: what its address says of it."""

    # The beat

    async def run(self) -> None:
        beat = time.monotonic()
        while True:
            for book in self.books.values():
                self.step(book)
            beat += self._interval
            await asyncio.sleep(max(0.0, beat - time.monotonic()))

    def step(self, book: TrueBook) -> None:
        """One beat of one instrument: quotes at the touch, the moved book, now and then a trade."""
        changes = Changes()
        for _ in range(self._quotes - 1):
            self._merge(changes, book.touch())
            self.advance(book)
            self.send(book, "quotes", *self.quote_frame(book))
        self._merge(changes, book.move())
        self.advance(book)
        name, frame = self.book_frame(book, changes)
        # The BBO of the same id comes before or after the update, as it does in life.
        first = self.random.random() < 0.5
        if first:
            self.send(book, "quotes", *self.quote_frame(book))
        for out in self.faults.pass_on(book.listing.symbol, frame):
            self.send(book, "books", name, out)
        if not first:
            self.send(book, "quotes", *self.quote_frame(book))
        if self.random.random() < 0.3:
            self.send(book, "trades", *self.trade_frame(book))

    @staticmethod
    def _merge(into: Changes, more: Changes) -> None:
        into.bids.update(more.bids)
        into.asks.update(more.asks)

    def send(self, book: TrueBook, channel: str, name: str, frame: bytes) -> None:
        for client in self.clients:
            if name in client.names:
                client.queue.put_nowait(frame)

    # Faults

    async def fault(self, fault: Fault) -> None:
        log.info("fault planted", **fault.as_dict())
        if fault.kind in ("disconnect", "abort"):
            await self._disconnect(abort=fault.kind == "abort")
        elif fault.kind == "stall":
            for client in self.clients:
                client.stalled_until = time.monotonic() + fault.seconds
        elif fault.kind == "malformed":
            for client in self.clients:
                client.queue.put_nowait(fault.payload)
        else:
            self.faults.plan(fault)

    async def _disconnect(self, abort: bool) -> None:
        for client in list(self.clients):
            transport = client.socket._req.transport if client.socket._req else None
            if abort and transport is not None:
                transport.abort()
            else:
                await client.socket.close(code=WSCloseCode.GOING_AWAY)

    def book_of(self, symbol: str) -> TrueBook:
        try:
            return self.books[symbol]
        except KeyError:
            raise StackError(f"{self.feed} lists no {symbol}: it lists {', '.join(self.books)}") from None
