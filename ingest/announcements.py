"""Subscribe to the exchange's announcements of new, changed and closing instruments, on a socket of their own."""

import asyncio
import itertools
from collections.abc import Callable
from contextlib import suppress

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from ingest.exchanges.base import Connector
from ingest.retry_after import Gate, handshake_wait
from ingest.supervision import backoff_delay
from schemas.symbols import Selection

log = structlog.get_logger(__name__)

_MAX_SIZE = 4 << 20  # bytes of one frame
_EXTRA_FAILURES = 2  # added to the back-off's count: reconnecting is not urgent here


class Announcements:
    """Listener for one feed's announcements.

    It calls `on_announcement()` for every announcement, and after every reconnect, as some may have been missed.
    """

    def __init__(
        self, connector: Connector, address: str, selection: Selection, gate: Gate, on_announcement: Callable[[], None]
    ) -> None:
        self._connector = connector
        self._address = address + connector.announcement_path
        self._selection = selection
        self._gate = gate
        self._on_announcement = on_announcement
        self._failures = 0
        self._log = log.bind(feed=connector.name, exchange=connector.feed.exchange)

    async def run(self) -> None:
        """Listen until cancelled, reconnecting with back-off."""
        for number in itertools.count():
            await self._gate.wait_until_open()
            try:
                await self._connect(first=not number)
            except InvalidStatus as error:
                self._gate.close(handshake_wait(error))
                self._report_failure(error)
            except (OSError, WebSocketException, TimeoutError) as error:
                self._report_failure(error)
            await asyncio.sleep(backoff_delay(self._failures + _EXTRA_FAILURES))
            self._failures += 1

    def _report_failure(self, error: Exception) -> None:
        report = self._log.debug if self._failures else self._log.warning
        report("no instrument announcements: definitions are only refreshed periodically", error=str(error))

    async def _connect(self, first: bool) -> None:
        async with connect(
            self._address, max_size=_MAX_SIZE, compression=self._connector.compression, close_timeout=1
        ) as socket:
            for message in self._connector.announcement_requests(self._selection):
                await socket.send(message)
            if not first:
                self._on_announcement()
            self._failures = 0
            await self._listen(socket)

    async def _listen(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            while True:
                try:
                    async with asyncio.timeout(self._connector.ping_after_s):
                        received = await socket.recv(decode=False)
                except TimeoutError:
                    if self._connector.ping:
                        await socket.send(self._connector.ping)
                    continue
                await self._on_frame(socket, self._connector.decode(received))

    async def _on_frame(self, socket: ClientConnection, frame: bytes) -> None:
        route = self._connector.route(frame)
        if route.kind == "data" and route.name in self._connector.announcement_channels:
            self._on_announcement()
        elif route.kind == "control":
            control = self._connector.parse_control(frame)
            if control.reply:
                await socket.send(control.reply)
            if control.kind == "rejected":
                self._log.warning("the exchange rejected the announcements' subscription", reason=control.reason)
