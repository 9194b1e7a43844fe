"""Connect to a feed and subscribe to its channels: one socket per path, and the snapshots of its books."""

import asyncio
import itertools
import time
from collections.abc import Iterable

from aiolimiter import AsyncLimiter

from ingest.connection import Connection
from ingest.exchanges.base import Connector
from ingest.rest import Rest
from ingest.snapshots import Snapshots
from ingest.supervision import backoff_delay
from ingest.timings import DEFAULT_TIMINGS
from ingest.uplinks import Uplinks
from ingest.watchdog import Watchdog
from marketprism.probe.cell import SNAPSHOT, Cell
from marketprism.probe.failures import RestHealth, socket_failure
from marketprism.probe.recorder import Recorder
from schemas.errors import ExchangeError
from schemas.instruments import Instrument
from schemas.markers import Definition
from schemas.settings import Settings


class Sockets:
    """Sockets of one feed, which reconnect when they are lost: `run` until cancelled."""

    def __init__(
        self,
        connector: Connector,
        uplinks: Uplinks,
        instruments: Iterable[Instrument],
        rest: Rest,
        health: RestHealth,
        recorder: Recorder,
        settings: Settings,
    ) -> None:
        self._connector = connector
        self._uplinks = uplinks
        self._instruments = {instrument.exchange_symbol: instrument for instrument in instruments}
        self._by_key = {instrument.key: instrument for instrument in self._instruments.values()}
        self._rest = rest
        self._health = health
        self._recorder = recorder
        self._watchdog = Watchdog(settings.channel_timeout_s)
        self._connects = AsyncLimiter(*connector.connect_rate)
        self._connections: dict[str, Connection] = {}  # by path
        self._snapshots: Snapshots | None = None

    async def run(self) -> None:
        """Stay connected to every path that serves any of the instruments."""
        async with asyncio.TaskGroup() as tasks:
            self._snapshots = Snapshots(tasks, self._fetch_snapshot, DEFAULT_TIMINGS)
            for path in self._connector.paths:
                if any(self._connector.channels_of(each.kind, path) for each in self._instruments.values()):
                    tasks.create_task(self._stay_connected(path))

    def request_snapshot(self, key: str) -> None:
        """Request a fresh snapshot of a book."""
        self._request_snapshot(key, is_first=False)

    def _request_snapshot(self, key: str, is_first: bool) -> None:
        if self._snapshots is not None:
            self._snapshots.request(key, time.time_ns() // 1000, is_first)

    async def _stay_connected(self, path: str) -> None:
        for attempt in itertools.count():
            await self._connects.acquire()
            self._connections[path] = connection = Connection(
                self._connector,
                self._uplinks,
                path,
                self._instruments,
                DEFAULT_TIMINGS,
                self._recorder,
                self._watchdog,
                lambda key: self._request_snapshot(key, is_first=True),
            )
            failure = socket_failure(await connection.run())
            for cell in self._cells_of(path):
                if cell.acknowledged_at is None:
                    cell.failure = failure
            await asyncio.sleep(backoff_delay(attempt))

    def _cells_of(self, path: str) -> Iterable[Cell]:
        for key, instrument in self._by_key.items():
            for channel in self._connector.channels_of(instrument.kind, path):
                yield self._recorder.cells[key, channel]

    async def _fetch_snapshot(self, key: str) -> int:
        instrument, cell = self._by_key[key], self._recorder.cells.get((key, SNAPSHOT))
        if cell is not None:
            cell.asked_at = cell.asked_at or time.monotonic()
        if self._connector.snapshots != "rest":
            path = next(path for path in self._connector.paths if "books" in self._connector.channels_on(path))
            self._connections[path].request_snapshot(instrument.exchange_symbol)
            return time.time_ns()
        try:
            body = await self._connector.snapshot(self._rest, instrument.exchange_symbol)
        except ExchangeError as error:
            if cell is not None:
                cell.failure = self._health.failure_of(error)
            raise
        now = time.time_ns()
        self._recorder.write_marker(now, key, Definition(instrument, self._connector.seed_levels()))
        self._recorder.write_frame(now, key, body)
        return now
