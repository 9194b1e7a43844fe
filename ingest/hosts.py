"""Hosts and proxies of one feed: those in use, their changes, and probes of better ones."""

import asyncio
import time
from collections.abc import Callable, Iterable
from functools import partial

import structlog
from aiolimiter import AsyncLimiter

from ingest.exchanges.base import Connector
from ingest.rest import Rest
from ingest.retry_after import Gate
from ingest.sockets import socket_to
from ingest.supervision import supervise
from ingest.timings import Timings
from ingest.uplinks import Uplink, Uplinks, Where, uplinks_of
from schemas.connections import HostInUse
from schemas.markers import HostChanged, Markers
from schemas.settings import Settings


class Hosts:
    """Uplinks of one feed, of its `sockets` and of `rest`."""

    def __init__(
        self, connector: Connector, settings: Settings, timings: Timings, mark: Callable[[Markers], None]
    ) -> None:
        """`mark(marker)` is called when another host or proxy is used."""
        self._connector = connector
        self._mark = mark
        self._changes: dict[Where, HostChanged] = {}
        self._changed_at: dict[Where, int] = {}  # µs since the epoch
        self.sockets, self.rest = (
            Uplinks(
                connector.name,
                where,
                uplinks_of(settings, connector.name, where, hosts),
                timings,
                partial(self._on_changed, where),
            )
            for where, hosts in connector.hosts.items()
        )

    @property
    def changes(self) -> Iterable[HostChanged]:
        """The last change of each."""
        return self._changes.values()

    def report(self) -> list[HostInUse]:
        """Return those in use, and why."""
        return [self._in_use("ws", self.sockets), self._in_use("rest", self.rest)]

    def _in_use(self, where: Where, uplinks: Uplinks) -> HostInUse:
        uplink, since, reason = str(uplinks.choose()), 0, "the only one" if len(uplinks) == 1 else "first choice"
        if change := self._changes.get(where):
            uplink, since, reason = change.uplink, self._changed_at[where], change.reason
        if not uplinks.works:
            reason = f"cannot be reached, {reason}" if len(uplinks) == 1 else f"none can be reached now; {reason}"
        return HostInUse(where=where, uplink=uplink, reason=reason, since=since)

    def _on_changed(self, where: Where, uplink: Uplink, reason: str) -> None:
        self._changes[where] = HostChanged(where=where, uplink=str(uplink), reason=reason)
        self._changed_at[where] = time.time_ns() // 1000
        self._mark(self._changes[where])

    async def run(self, rest: Rest, connects: AsyncLimiter, gate: Gate, log: structlog.stdlib.BoundLogger) -> None:
        """Probe better ones than those in use until cancelled. `connects` and `gate` limit the feed's handshakes."""

        async def open_socket(uplink: Uplink) -> None:
            await gate.wait_until_open()
            await connects.acquire()
            path = next(iter((*self._connector.paths, self._connector.announcement_path)))
            async with socket_to(self._connector, uplink, path, self.sockets.connect_timeout_s):
                pass

        async def ask(uplink: Uplink) -> None:
            await self._connector.server_time(rest.probe(uplink))

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(supervise("hosts of sockets", lambda: self.sockets.run(open_socket), log))
            tasks.create_task(supervise("hosts of REST", lambda: self.rest.run(ask), log))
