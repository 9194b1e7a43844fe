"""Subscribe to the exchange's announcements of new, changed and closing instruments, on a socket of their own."""

import asyncio
import itertools
from collections.abc import Callable
from contextlib import suppress

import structlog
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, WebSocketException

from ingest.exchanges.base import Connector
from ingest.retry_after import Gate
from ingest.sockets import socket_to
from ingest.supervision import backoff_delay
from ingest.uplinks import Uplink, Uplinks
from schemas.symbols import Selection

log = structlog.get_logger(__name__)

_EXTRA_FAILURES = 2  # added to the back-off's count: reconnecting is not urgent here


class Announcements:
    """Listener for one feed's announcements.

    It calls `on_announcement()` for every announcement, and after every reconnect, as some may have been missed.
    """

    def __init__(
        self,
        connector: Connector,
        uplinks: Uplinks,
        selection: Selection,
        gate: Gate,
        on_announcement: Callable[[], None],
    ) -> None:
        self._connector = connector
        self._uplinks = uplinks
        self._selection = selection
        self._gate = gate
        self._on_announcement = on_announcement
        self._failures = 0
        self._log = log.bind(feed=connector.name, exchange=connector.feed.exchange)

    async def run(self) -> None:
        """Listen until cancelled, reconnecting with back-off."""
        for number in itertools.count():
            await self._gate.wait_until_open()
            uplink = self._uplinks.choose()
            try:
                await self._connect(uplink, first=not number)
            except (OSError, WebSocketException) as error:
                self._on_unreachable(uplink, error)
            await asyncio.sleep(backoff_delay(self._failures + _EXTRA_FAILURES))
            self._failures += 1

    def _on_unreachable(self, uplink: Uplink, error: Exception) -> None:
        failure = uplink.failure_of(error)
        if failure.is_limit or not self._uplinks.on_failed(uplink, failure):
            self._gate.close(failure.wait)
        report = self._log.debug if self._failures else self._log.warning
        report("no instrument announcements: definitions are only refreshed periodically", error=failure.text)

    async def _connect(self, uplink: Uplink, first: bool) -> None:
        path, timeout_s = self._connector.announcement_path, self._uplinks.connect_timeout_s
        async with socket_to(self._connector, uplink, path, timeout_s) as socket:
            self._uplinks.on_connected(uplink)
            with suppress(ConnectionClosed):
                for message in self._connector.announcement_requests(self._selection):
                    await socket.send(message)
                if not first:
                    self._on_announcement()
                self._failures = 0
                await self._listen(socket, uplink)

    async def _listen(self, socket: ClientConnection, uplink: Uplink) -> None:
        """Listen until a better uplink works again."""
        while not self._uplinks.has_better(uplink):
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
