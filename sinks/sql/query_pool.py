"""Queries of clients: a bounded number running and waiting, and none that outlives its client."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import structlog

from schemas.errors import StorageError
from sinks.sql.read_only import MARK, Reader
from sinks.storage.base import Storage

RUNNING = 4  # queries at a time; `Reader` bounds the memory of each
WAITING = 32  # more that wait for one of them to end; beyond that they are refused
_KILL_EVERY = 0.2  # s; a query that has not begun yet cannot be ended

log = structlog.get_logger(__name__)


class BusyError(StorageError):
    """As many queries are running and waiting as there may be."""


class QueryPool:
    """Readers that take turns: `start`, then `answer` from any task, then `stop`."""

    def __init__(self, directory: Path, database: str, storage: Storage) -> None:
        self._directory = directory
        self._database = database
        self._storage = storage
        self._threads = ThreadPoolExecutor(RUNNING, thread_name_prefix="sql")
        self._killer = ThreadPoolExecutor(1, thread_name_prefix="sql-kill")
        self._readers: list[Reader] = []
        self._free: asyncio.Queue[Reader] = asyncio.Queue()
        self._waiting = 0
        self._ending: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Open the readers."""
        for number in range(RUNNING):
            reader = await asyncio.to_thread(Reader, self._directory, self._database, f"{MARK}{number}")
            self._readers.append(reader)
            self._free.put_nowait(reader)

    async def stop(self) -> None:
        """Wait until the queries of clients that have gone are ended, and close the readers."""
        if self._ending:
            await asyncio.wait(self._ending)
        for threads in (self._threads, self._killer):
            await asyncio.to_thread(threads.shutdown)
        for reader in self._readers:
            reader.close()

    async def kill_all(self) -> None:
        """End what is running."""
        await self._kill(MARK)

    @contextlib.asynccontextmanager
    async def answer(self, query: str, output: str, parameters: Mapping[str, str]) -> AsyncIterator[bytes]:
        """The answer to a query. It keeps its turn until it is sent, since until then it takes memory.

        A task that is cancelled ends its query. Raises `BusyError`, and `StorageError` for the query's own errors.
        """
        reader = await self._turn()
        loop = asyncio.get_running_loop()
        asking = loop.run_in_executor(self._threads, reader.ask, query, output, parameters)
        try:
            yield await asyncio.shield(asking)
        finally:
            if asking.done():
                self._free.put_nowait(reader)
            else:
                ending = asyncio.create_task(self._end(reader, asking))
                self._ending.add(ending)
                ending.add_done_callback(self._ending.discard)

    async def _turn(self) -> Reader:
        if self._free.empty() and self._waiting >= WAITING:
            raise BusyError(f"{RUNNING} queries are running and {WAITING} are waiting: try again later")
        self._waiting += 1
        try:
            return await self._free.get()
        finally:
            self._waiting -= 1

    async def _end(self, reader: Reader, asking: asyncio.Future[bytes]) -> None:
        """Kill until the query has ended: only then another one may have the reader."""
        while not asking.done():
            await self._kill(reader.mark)
            await asyncio.wait([asking], timeout=_KILL_EVERY)
        if not asking.cancelled() and asking.exception() is None:
            log.debug("a query ended as its client left", reader=reader.mark)
        self._free.put_nowait(reader)

    async def _kill(self, mark: str) -> None:
        statement = f"KILL QUERY WHERE startsWith(Settings['log_comment'], '{mark}') ASYNC"
        try:
            await asyncio.get_running_loop().run_in_executor(self._killer, self._storage.execute, statement)
        except StorageError as error:
            log.warning("a query cannot be ended", reason=str(error))
