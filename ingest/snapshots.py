"""Book snapshots on request: one at a time per instrument, none that a later one has answered already."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from schemas.errors import ExchangeError

log = structlog.get_logger(__name__)

PAUSE = 1.0  # s at least between two snapshots of one instrument


class Snapshots:
    """`fetch(key)` puts the snapshot into the raw topic and returns its receipt time (ns); it runs in `tasks`."""

    def __init__(self, tasks: asyncio.TaskGroup, fetch: Callable[[str], Awaitable[int]]) -> None:
        self._tasks = tasks
        self._fetch = fetch
        self._running: set[str] = set()
        self._placed_at: dict[str, int] = {}  # µs, as requests tell time
        self._ended_at: dict[str, float] = {}  # monotonic

    def request(self, key: str, caused_at: int) -> None:
        """`caused_at`: µs since the epoch of the line that made it needed. A snapshot placed since is the answer."""
        if key not in self._running and caused_at >= self._placed_at.get(key, 0):
            self._running.add(key)
            self._tasks.create_task(self._run(key))

    async def _run(self, key: str) -> None:
        try:
            await asyncio.sleep(max(self._ended_at.get(key, -PAUSE) + PAUSE - time.monotonic(), 0))
            self._placed_at[key] = await self._fetch(key) // 1000
        except ExchangeError as error:
            log.error("no snapshot; the book asks again", key=key, error=str(error))
        finally:
            self._ended_at[key] = time.monotonic()
            self._running.discard(key)
