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

_WAITING = 32
# ClickHouse unescapes parameters like TabSeparated values.
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"})


class Queries:
    """Queries of some requests, `running` of which at a time.

    Values are parameters of the query (`{name:Type}`), never a part of its text.
    """

    def __init__(self, settings: Settings, running: int) -> None:
        self._settings = settings
        self._running = running
        self._threads = self._new_threads()
        self._count = 0

    async def run(self, query: str, parameters: Mapping[str, str] | None = None, output_format: str = "TSV") -> bytes:
        """Return the result. Raise `StorageError` if it fails, and 503 while too many queries wait."""
        if self._count >= self._running + _WAITING:
            raise RequestProblem(503, "too many queries are waiting for ClickHouse: try again", {"Retry-After": "1"})
        self._count += 1
        try:
            escaped = {name: value.translate(_ESCAPES) for name, value in (parameters or {}).items()}
            call = partial(run_query, self._settings, query, output_format, escaped)
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        finally:
            self._count -= 1

    async def rows(self, query: str, parameters: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """Return the rows as objects. Integers of 64 bits and decimals are strings, unless the query says otherwise."""
        return _loaded(await self.run(query, parameters, "JSONEachRow"))

    async def lists(self, query: str, parameters: Mapping[str, str] | None = None) -> list[list[Any]]:
        """Return the rows as lists of their cells, with integers and decimals as in `rows`."""
        return _loaded(await self.run(query, parameters, "JSONCompactEachRow"))

    def close(self) -> None:
        """Wait for no query any more. Later ones get new threads, as an application may start again."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._threads = self._new_threads()

    def _new_threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._running, thread_name_prefix="query")


def _loaded(lines: bytes) -> list[Any]:
    """Return the rows of a result. ClickHouse's texts need not be UTF-8."""
    return [orjson.loads(line) for line in lines.decode(errors="replace").split("\n") if line]
