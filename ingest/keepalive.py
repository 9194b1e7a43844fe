"""Heartbeat and lifetime of one socket."""

import time
from collections.abc import Awaitable, Callable

from ingest.exchanges.base import Connector


class Keepalive:
    """Keep one socket alive: ping it when idle, renew it before its lifetime ends, detect when it is dead.

    `send(text)` sends a text frame; `renew(reason)` requests a new socket.
    """

    def __init__(
        self, connector: Connector, send: Callable[[str], Awaitable[None]], renew: Callable[[str], None]
    ) -> None:
        self._connector = connector
        self._send = send
        self._renew = renew
        self._opened_at = self._received_at = time.monotonic()
        self._frames = 0
        self._pinged = False

    async def check(self, frames: int) -> str:
        """Ping or renew the socket if it is time to. Return why it counts as dead; empty while it is alive.

        `frames`: number of frames received so far.
        """
        connector, now = self._connector, time.monotonic()
        if frames != self._frames:
            self._frames, self._received_at, self._pinged = frames, now, False
        idle = now - self._received_at
        if connector.ping and not self._pinged and idle >= connector.ping_after_s:
            self._pinged = True
            await self._send(connector.ping)
        if idle >= connector.connection_timeout_s:
            return f"silent for {idle:.0f} s"
        if now - self._opened_at >= connector.lifetime_s:
            self._renew("renewed before the exchange's limit")
        return ""
