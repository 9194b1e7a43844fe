"""Keep one group of instruments connected: reconnect after a loss, and move to a new socket without losing data."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import structlog
from aiolimiter import AsyncLimiter

from ingest.connection import Connection
from ingest.exchanges.base import Connector
from ingest.handover import OVERLAP, TIMEOUT
from ingest.raw_writer import RawWriter
from ingest.retry_after import Gate
from ingest.supervision import backoff_delay
from ingest.throughput import Throughput
from ingest.timings import Timings
from ingest.uplinks import Uplinks
from ingest.watchdog import Watchdog
from schemas.connections import ConnectionReport
from schemas.instruments import Instrument
from schemas.markers import Renewed

log = structlog.get_logger(__name__)

_CHECK_EVERY = 1.0  # s


class ConnectionSupervisor:
    """Supervisor of one logical connection. `connection` is the active socket, None before the first.

    `throughput`: what it received between its last two reports. `instruments`, by the exchange's name, are shared with
    the supervisors of the other paths.
    """

    def __init__(
        self,
        connector: Connector,
        uplinks: Uplinks,
        path: str,
        instruments: dict[str, Instrument],
        timings: Timings,
        writer: RawWriter,
        connects: AsyncLimiter,
        gate: Gate,
        watchdog: Watchdog,
        on_snapshot_needed: Callable[[str], None],
    ) -> None:
        self.connection: Connection | None = None
        self.throughput = Throughput()
        self._path = path
        self._make_connection = partial(
            Connection, connector, uplinks, path, instruments, timings, writer, watchdog, on_snapshot_needed
        )
        self._channels_of = partial(connector.channels_of, path=path)
        self._instruments = instruments
        self._timings = timings
        self._connects = connects
        self._gate = gate
        self._log = log.bind(feed=connector.name, exchange=connector.feed.exchange, path=path)

    @property
    def is_needed(self) -> bool:
        """Whether an instrument has channels on this path: funding has one of its own, and spot has no funding."""
        return self.serves(self._instruments)

    def _served(self) -> Iterator[Instrument]:
        return (instrument for instrument in self._instruments.values() if self._channels_of(instrument.kind))

    def serves(self, symbols: Iterable[str]) -> bool:
        """Whether any of these `instruments` has channels on this path."""
        return any(self._channels_of(self._instruments[symbol].kind) for symbol in symbols)

    def report(self, number: int) -> ConnectionReport:
        """Return its state, and measure what it receives. `number`: of its group."""
        connection = self.connection
        self.throughput.measure(connection)
        return ConnectionReport(
            number=number,
            path=self._path,
            uplink=str(connection.uplink or "") if connection is not None else "",
            state=connection.state if connection is not None else "connecting",
            opened_at=connection.opened_at if connection is not None else 0,
            symbols=[instrument.symbol for instrument in self._served()],
            frames=round(self.throughput.frames, 1),
            bytes=round(self.throughput.bytes),
            round_trip=connection.round_trip if connection is not None else None,
        )

    def renew(self, reason: str) -> None:
        """Move to a new socket, if one is open now."""
        if self.connection is not None and self.connection.open:
            self.connection.renew(reason)

    def add(self, symbols: Sequence[str]) -> None:
        """Subscribe to new `instruments`."""
        for connection in self._connections() if symbols else ():
            connection.add(symbols)

    def remove(self, symbol: str) -> None:
        """Unsubscribe from an instrument that was removed from `instruments`."""
        for connection in self._connections():
            connection.remove(symbol)

    def take_frames(self) -> list[tuple[str, float]]:
        """Return how many frames came since the last call, by the exchange's names of the instruments.

        What several instruments share is divided among them.
        """
        return self.connection.subscriptions.take_frames() if self.connection is not None else []

    def _connections(self) -> Iterator[Connection]:
        """Yield the active connection, and its successor during a handover."""
        connection = self.connection
        while connection is not None:
            yield connection
            connection = connection.successor

    async def run(self) -> None:
        """Stay connected until cancelled."""
        failures = 0
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._wait_until_needed()
                began = time.monotonic()
                connection, task = await self._connect(tasks, None)
                connection, reason = await self._until_lost(tasks, connection, task)
                lived = time.monotonic() - began
                has_worked = connection.reader.frames > 0 and lived > self._timings.quick_reconnect_after_s
                failures = 0 if has_worked else failures + 1
                delay = backoff_delay(failures - 1) if failures and not connection.has_alternative else 0.0
                retry = round(max(delay, self._gate.remaining), 2)
                self._log.warning("disconnected", reason=reason, lived_s=round(lived, 1), retry_in_s=retry)
                await asyncio.sleep(delay)

    async def _wait_until_needed(self) -> None:
        while not self.is_needed:
            await asyncio.sleep(_CHECK_EVERY)

    async def _connect(
        self, tasks: asyncio.TaskGroup, predecessor: Connection | None
    ) -> tuple[Connection, "asyncio.Task[str]"]:
        await self._gate.wait_until_open()
        await self._connects.acquire()
        connection = self._make_connection(predecessor)
        if predecessor is None:
            self.connection = connection
        return connection, tasks.create_task(self._run(connection))

    async def _run(self, connection: Connection) -> str:
        reason = await connection.run()
        self._gate.close(connection.wait)
        return reason

    async def _until_lost(
        self, tasks: asyncio.TaskGroup, connection: Connection, task: "asyncio.Task[str]"
    ) -> tuple[Connection, str]:
        """Renew the connection on request until the active one is lost. Return that one, and the reason."""
        failures = 0
        while True:
            await _first_of(task, connection.renewal)
            if task.done():
                return connection, task.result()
            reason = connection.renewal.result()
            connection, task, renewed = await self._renew(tasks, connection, task, reason)
            failures = 0 if renewed else failures + 1
            if not renewed:
                await asyncio.wait({task}, timeout=backoff_delay(failures - 1))
                connection.renewal = asyncio.get_running_loop().create_future()
                connection.renew(reason)

    async def _renew(
        self, tasks: asyncio.TaskGroup, old: Connection, old_task: "asyncio.Task[str]", reason: str
    ) -> tuple[Connection, "asyncio.Task[str]", bool]:
        """Make before break. Return the active connection, its task, and whether it is the new one."""
        self._log.info("moving to a new connection", reason=reason)
        new, task = await self._connect(tasks, old)
        old.successor = new
        await _first_of(old_task, task, new.flowing, timeout=TIMEOUT)
        if new.flowing.done() and not task.done():
            await _first_of(old_task, task, timeout=OVERLAP)
        if task.done() or not (new.flowing.done() or old_task.done()):
            return await self._keep_old(old, old_task, new, task)
        self.connection = new
        await old.close(reason)
        await asyncio.wait({old_task})
        new.finish_handover()
        new.mark_all(lambda channels: Renewed(channels=channels, reason=reason))
        self._log.info("moved to a new connection", reason=reason)
        return new, task, True

    async def _keep_old(
        self, old: Connection, old_task: "asyncio.Task[str]", new: Connection, task: "asyncio.Task[str]"
    ) -> tuple[Connection, "asyncio.Task[str]", bool]:
        new.abort_handover()
        old.successor = None
        await new.close("the handover timed out")
        await asyncio.wait({task})
        self._log.warning("the new connection failed: keeping the old one", reason=task.result())
        return old, old_task, False


async def _first_of(*futures: "asyncio.Future[Any]", timeout: float | None = None) -> None:
    await asyncio.wait(futures, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
