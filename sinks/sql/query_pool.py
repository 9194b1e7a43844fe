"""Run the queries of HTTP clients: a bounded number at a time, each cancelled when its client disconnects."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import structlog

from schemas.errors import StorageError
from sinks.sql.read_only import MARK, ReadOnlyConnection
from sinks.storage.base import Storage

MAX_RUNNING = 4  # concurrent queries; `ReadOnlyConnection` bounds the memory of each
MAX_WAITING = 32  # queries that wait for a connection; further ones are rejected
_KILL_EVERY = 0.2  # s; repeated, as a query that has not started yet cannot be killed

log = structlog.get_logger(__name__)


class BusyError(StorageError):
    """The maximum number of queries is running and waiting."""


class QueryPool:
    """Pool of read-only connections: `start`, then `run` from any task, then `stop`."""

    def __init__(self, directory: Path, database: str, storage: Storage) -> None:
        self._directory = directory
        self._database = database
        self._storage = storage
        self._threads = ThreadPoolExecutor(MAX_RUNNING, thread_name_prefix="sql")
        self._killer = ThreadPoolExecutor(1, thread_name_prefix="sql-kill")
        self._connections: list[ReadOnlyConnection] = []
        self._free: asyncio.Queue[ReadOnlyConnection] = asyncio.Queue()
        self._waiting = 0
        self._cancelling: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Open the connections."""
        for number in range(MAX_RUNNING):
            mark = f"{MARK}{number}"
            connection = await asyncio.to_thread(ReadOnlyConnection, self._directory, self._database, mark)
            self._connections.append(connection)
            self._free.put_nowait(connection)

    async def stop(self) -> None:
        """Wait until the queries of disconnected clients have ended, then close the connections."""
        if self._cancelling:
            await asyncio.wait(self._cancelling)
        for threads in (self._threads, self._killer):
            await asyncio.to_thread(threads.shutdown)
        for connection in self._connections:
            connection.close()

    async def kill_all(self) -> None:
        """Kill all running queries."""
        await self._kill(MARK)

    @contextlib.asynccontextmanager
    async def run(self, query: str, output_format: str, parameters: Mapping[str, str]) -> AsyncIterator[bytes]:
        """Run a query and yield its result. The connection stays in use until the result, which takes memory, is sent.

        Cancelling the task kills the query. Raise `BusyError`, or `StorageError` for the query's own errors.
        """
        connection = await self._acquire()
        loop = asyncio.get_running_loop()
        running = loop.run_in_executor(self._threads, connection.run, query, output_format, parameters)
        try:
            yield await asyncio.shield(running)
        finally:
            if running.done():
                self._free.put_nowait(connection)
            else:
                cancelling = asyncio.create_task(self._cancel(connection, running))
                self._cancelling.add(cancelling)
                cancelling.add_done_callback(self._cancelling.discard)

    async def _acquire(self) -> ReadOnlyConnection:
        if self._free.empty() and self._waiting >= MAX_WAITING:
            raise BusyError(f"{MAX_RUNNING} queries are running and {MAX_WAITING} are waiting: try again later")
        self._waiting += 1
        try:
            return await self._free.get()
        finally:
            self._waiting -= 1

    async def _cancel(self, connection: ReadOnlyConnection, running: asyncio.Future[bytes]) -> None:
        """Kill the query until it has ended, and only then release its connection."""
        while not running.done():
            await self._kill(connection.mark)
            await asyncio.wait([running], timeout=_KILL_EVERY)
        if not running.cancelled() and running.exception() is None:
            log.debug("query ended after its client had disconnected", connection=connection.mark)
        self._free.put_nowait(connection)

    async def _kill(self, mark: str) -> None:
        statement = f"KILL QUERY WHERE startsWith(Settings['log_comment'], '{mark}') ASYNC"
        try:
            await asyncio.get_running_loop().run_in_executor(self._killer, self._storage.execute, statement)
        except StorageError as error:
            log.warning("cannot kill a query", reason=str(error))
