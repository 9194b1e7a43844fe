"""Ask ClickHouse from the API: a bounded number of queries at a time, outside the event loop."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import orjson

from marketprism.api.problems import RequestProblem
from schemas.settings import Settings
from sinks.sql.client import run_query

_RUNNING = 4  # as many as the embedded engine runs at a time
_WAITING = 32


class Queries:
    """Queries of the requests. Values are parameters of the query (`{name:Type}`), never a part of its text."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._threads = ThreadPoolExecutor(_RUNNING, thread_name_prefix="query")
        self._count = 0

    async def run(self, query: str, parameters: Mapping[str, str] | None = None, output_format: str = "TSV") -> bytes:
        """Return the result. Raise `StorageError` if it fails, and 503 while too many queries wait."""
        if self._count >= _RUNNING + _WAITING:
            raise RequestProblem(503, "too many queries are waiting for ClickHouse: try again", {"Retry-After": "1"})
        self._count += 1
        try:
            call = partial(run_query, self._settings, query, output_format, parameters or {})
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        finally:
            self._count -= 1

    async def rows(self, query: str, parameters: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """Return the rows as objects. Integers of 64 bits and decimals are texts, where the query does not say else."""
        lines = await self.run(query, parameters, "JSONEachRow")
        return [orjson.loads(line) for line in lines.splitlines()]

    def close(self) -> None:
        """Wait for no query any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)
