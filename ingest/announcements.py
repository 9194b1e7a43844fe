"""The exchange's own announcements of new, changed and closing instruments, on a socket of their own."""

import asyncio
import itertools
from collections.abc import Callable
from contextlib import suppress

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from ingest.exchanges.base import Connector
from ingest.retry_after import Gate, wait_of_handshake
from ingest.supervision import delay_after
from schemas.symbols import Selection

log = structlog.get_logger(__name__)

_MAX_SIZE = 4 << 20  # bytes of one frame
_SLOWER = 2  # it is no hurry: the first delay is that of so many failures


class Announcements:
    """`on_news()` is called for every announcement, and after each reconnect: something may have been missed."""

    def __init__(
        self, exchange: Connector, address: str, selection: Selection, gate: Gate, on_news: Callable[[], None]
    ) -> None:
        self._exchange = exchange
        self._address = address + exchange.news_path
        self._selection = selection
        self._gate = gate
        self._on_news = on_news
        self._failures = 0
        self._log = log.bind(feed=exchange.name, exchange=exchange.feed.exchange)

    async def run(self) -> None:
        """Listen, on as many sockets as it takes. Never returns by itself."""
        for number in itertools.count():
            await self._gate.passed()
            try:
                await self._connect(first=not number)
            except InvalidStatus as error:
                self._gate.close(wait_of_handshake(error))
                self._lost(error)
            except (OSError, WebSocketException, TimeoutError) as error:
                self._lost(error)
            await asyncio.sleep(delay_after(self._failures + _SLOWER))
            self._failures += 1

    def _lost(self, error: Exception) -> None:
        tell = self._log.debug if self._failures else self._log.warning
        tell("no announcements of instruments: they are read from time to time", error=str(error))

    async def _connect(self, first: bool) -> None:
        async with connect(
            self._address, max_size=_MAX_SIZE, compression=self._exchange.compression, close_timeout=1
        ) as socket:
            for message in self._exchange.news_requests(self._selection):
                await socket.send(message)
            if not first:
                self._on_news()
            self._failures = 0
            await self._listen(socket)

    async def _listen(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            while True:
                try:
                    async with asyncio.timeout(self._exchange.ping_after):
                        received = await socket.recv(decode=False)
                except TimeoutError:
                    if self._exchange.ping:
                        await socket.send(self._exchange.ping)
                    continue
                await self._on_frame(socket, self._exchange.decode(received))

    async def _on_frame(self, socket: ClientConnection, frame: bytes) -> None:
        found = self._exchange.route(frame)
        if found.kind == "data" and found.channel in self._exchange.news_channels:
            self._on_news()
        elif found.kind == "control":
            control = self._exchange.control(frame)
            if control.answer:
                await socket.send(control.answer)
            if control.kind == "refused":
                self._log.warning("the exchange announces no instruments", reason=control.reason)
