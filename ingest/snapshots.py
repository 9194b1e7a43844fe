"""Fetch book snapshots on request: one at a time per instrument, and none for a request that is already answered."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from ingest.timings import Timings
from schemas.errors import ExchangeError

log = structlog.get_logger(__name__)

_SOON = 2.0  # s after a snapshot in which another request means that it did not help; a later one has another cause


class Snapshots:
    """Scheduler of one feed's snapshots.

    `fetch(key)`, run in `tasks`, writes the snapshot to the raw topic and returns its receipt time (ns).
    """

    def __init__(self, tasks: asyncio.TaskGroup, fetch: Callable[[str], Awaitable[int]], timings: Timings) -> None:
        self._tasks = tasks
        self._fetch = fetch
        self._pause_s = timings.snapshot_pause_s
        self._max_pause_s = timings.max_snapshot_pause_s
        self._running: dict[str, asyncio.Task[None]] = {}
        self._placed_at: dict[str, int] = {}  # µs since the epoch, as in requests
        self._ended_at: dict[str, float] = {}  # monotonic
        self._pauses: dict[str, float] = {}

    def request(self, key: str, caused_at: int, first: bool = False) -> None:
        """Fetch a snapshot, unless one has been written since the line that caused the request.

        `caused_at`: µs since the epoch of that line. `first`: it is for a new subscription, without any attempt yet.
        """
        placed_at = self._placed_at.get(key, 0)
        if placed_at > time.time_ns() // 1000:  # our clock has been set back
            placed_at = 0
        if key not in self._running and caused_at >= placed_at:
            self._pauses[key] = self._pause_s if first else self._next_pause(key)
            self._running[key] = self._tasks.create_task(self._run(key))

    def forget(self, key: str) -> None:
        """Drop everything about an instrument that was removed."""
        if task := self._running.pop(key, None):
            task.cancel()
        for by_key in (self._placed_at, self._ended_at, self._pauses):
            by_key.pop(key, None)

    def _next_pause(self, key: str) -> float:
        pause = self._pauses.get(key)
        if pause is None or key not in self._ended_at:
            return self._pause_s
        helped = time.monotonic() - self._ended_at[key] > _SOON
        return self._pause_s if helped else min(2 * pause, self._max_pause_s)

    async def _run(self, key: str) -> None:
        try:
            ended_at = self._ended_at.get(key, -self._pause_s)
            await asyncio.sleep(max(ended_at + self._pauses[key] - time.monotonic(), 0))
            self._placed_at[key] = await self._fetch(key) // 1000
            self._ended_at[key] = time.monotonic()
        except ExchangeError as error:
            self._ended_at[key] = time.monotonic()
            log.error("no snapshot: the book will request it again", key=key, error=str(error))
        except Exception:
            self._ended_at[key] = time.monotonic()
            log.exception("no snapshot, internal error: the book will request it again", key=key)
        finally:
            if self._running.get(key) is asyncio.current_task():
                del self._running[key]
