"""One group of instruments on one path: kept connected, back after a loss, moved to a new socket without a break."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import structlog
from aiolimiter import AsyncLimiter

from ingest.connection import Connection
from ingest.exchanges.base import Connector
from ingest.raw_writer import RawWriter
from ingest.retry_after import Gate
from ingest.supervision import delay_after
from ingest.watchdog import Watchdog
from schemas.instruments import Instrument
from schemas.markers import Renewed

log = structlog.get_logger(__name__)

_HEALTHY = 10.0  # s of frames after which the next reconnect is quick again
_TAKEOVER = 30.0  # s that a new connection may take until all flows over it
_OVERLAP = 1.0  # s that the old one goes on after that: the most that it may be behind


class ConnectionSupervisor:
    """`run` never returns by itself. `connection` is the one that carries the instruments now.

    `instruments`, by the exchange's name, are shared with the carriers of the other paths.
    """

    def __init__(
        self,
        exchange: Connector,
        address: str,
        path: str,
        instruments: dict[str, Instrument],
        writer: RawWriter,
        connects: AsyncLimiter,
        gate: Gate,
        watch: Watchdog,
        on_books: Callable[[str], None],
    ) -> None:
        self.connection: Connection | None = None
        self._make = partial(Connection, exchange, address, path, instruments, writer, watch, on_books)
        self._connects = connects
        self._gate = gate
        self._log = log.bind(feed=exchange.name, exchange=exchange.feed.exchange, path=path)

    def renew(self, reason: str) -> None:
        """Move to a new socket, if there is one now."""
        if self.connection is not None and self.connection.open:
            self.connection.change(reason)

    def add(self, symbols: Sequence[str]) -> None:
        """Subscribe what was added to `instruments`."""
        for connection in self._open_ones() if symbols else ():
            connection.add(symbols)

    def remove(self, symbol: str) -> None:
        """Unsubscribe an instrument that was removed from `instruments`."""
        for connection in self._open_ones():
            connection.remove(symbol)

    def _open_ones(self) -> Iterator[Connection]:
        """The connection of now, and the one that takes over from it, if there is one."""
        connection = self.connection
        while connection is not None:
            yield connection
            connection = connection.successor

    async def run(self) -> None:
        failures = 0
        async with asyncio.TaskGroup() as tasks:
            while True:
                began = time.monotonic()
                connection, task = await self._connect(tasks, None)
                frames, reason = await self._until_lost(tasks, connection, task)
                lived = time.monotonic() - began
                failures = 0 if frames and lived > _HEALTHY else failures + 1
                delay = delay_after(failures - 1) if failures else 0.0
                again = round(max(delay, self._gate.left), 2)
                self._log.warning("disconnected", reason=reason, lived_s=round(lived, 1), again_in_s=again)
                await asyncio.sleep(delay)

    async def _connect(
        self, tasks: asyncio.TaskGroup, predecessor: Connection | None
    ) -> tuple[Connection, "asyncio.Task[str]"]:
        await self._gate.passed()
        await self._connects.acquire()
        connection = self._make(predecessor)
        if predecessor is None:
            self.connection = connection
        return connection, tasks.create_task(self._run(connection))

    async def _run(self, connection: Connection) -> str:
        reason = await connection.run()
        self._gate.close(connection.wait)
        return reason

    async def _until_lost(
        self, tasks: asyncio.TaskGroup, connection: Connection, task: "asyncio.Task[str]"
    ) -> tuple[int, str]:
        """Carry on, over as many sockets as it takes, until one is lost: how many frames it had, and why it ended."""
        failures = 0
        while True:
            await first_of(task, connection.leave)
            if task.done():
                return connection.frames, task.result()
            reason = connection.leave.result()
            connection, task, changed = await self._change(tasks, connection, task, reason)
            failures = 0 if changed else failures + 1
            if not changed:
                await asyncio.wait({task}, timeout=delay_after(failures - 1))
                connection.leave = asyncio.get_running_loop().create_future()
                connection.change(reason)

    async def _change(
        self, tasks: asyncio.TaskGroup, old: Connection, old_task: "asyncio.Task[str]", reason: str
    ) -> tuple[Connection, "asyncio.Task[str]", bool]:
        """Make before break: who carries on, and whether it is the new connection."""
        self._log.info("moving to a new connection", reason=reason)
        new, task = await self._connect(tasks, old)
        old.successor = new
        await first_of(old_task, task, new.flowing, timeout=_TAKEOVER)
        if new.flowing.done() and not task.done():
            await first_of(old_task, task, timeout=_OVERLAP)
        if task.done() or not (new.flowing.done() or old_task.done()):
            return await self._stay(old, old_task, new, task)
        self.connection = new
        await old.end(reason)
        await asyncio.wait({old_task})
        new.take_over()
        new.mark(Renewed(channels=new.channels, reason=reason))
        self._log.info("moved to a new connection", reason=reason)
        return new, task, True

    async def _stay(
        self, old: Connection, old_task: "asyncio.Task[str]", new: Connection, task: "asyncio.Task[str]"
    ) -> tuple[Connection, "asyncio.Task[str]", bool]:
        new.give_back()
        old.successor = None
        await new.end("took too long to take over")
        await asyncio.wait({task})
        self._log.warning("the new connection failed: staying with the old one", reason=task.result())
        return old, old_task, False


async def first_of(*futures: "asyncio.Future[Any]", timeout: float | None = None) -> None:
    await asyncio.wait(futures, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
