"""Book snapshots on request: one at a time per instrument, none that a later one has answered already."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from schemas.errors import ExchangeError

log = structlog.get_logger(__name__)

PAUSE = 1.0  # s at least between two snapshots of one instrument; doubles while it is asked for again and again
_MOST_PAUSE = 5.0  # the workers ask less and less often themselves; this spares the exchange several of them
_SOON = 2.0  # s after a snapshot in which a request says that it did not help; later, it is another matter


class Snapshots:
    """`fetch(key)` puts the snapshot into the raw topic and returns its receipt time (ns); it runs in `tasks`."""

    def __init__(self, tasks: asyncio.TaskGroup, fetch: Callable[[str], Awaitable[int]]) -> None:
        self._tasks = tasks
        self._fetch = fetch
        self._running: dict[str, asyncio.Task[None]] = {}
        self._placed_at: dict[str, int] = {}  # µs, as requests tell time
        self._ended_at: dict[str, float] = {}  # monotonic
        self._pauses: dict[str, float] = {}

    def request(self, key: str, caused_at: int, first: bool = False) -> None:
        """`caused_at`: µs since the epoch of the line that made it needed. A snapshot placed since is the answer.

        `first`: of a new subscription, for which nothing was tried yet.
        """
        placed_at = self._placed_at.get(key, 0)
        if placed_at > time.time_ns() // 1000:  # our clock was set back since
            placed_at = 0
        if key not in self._running and caused_at >= placed_at:
            self._pauses[key] = PAUSE if first else self._pause(key)
            self._running[key] = self._tasks.create_task(self._run(key))

    def forget(self, key: str) -> None:
        """The instrument is gone."""
        if task := self._running.pop(key, None):
            task.cancel()
        for about in (self._placed_at, self._ended_at, self._pauses):
            about.pop(key, None)

    def _pause(self, key: str) -> float:
        pause = self._pauses.get(key)
        if pause is None or key not in self._ended_at:
            return PAUSE
        helped = time.monotonic() - self._ended_at[key] > _SOON
        return PAUSE if helped else min(2 * pause, _MOST_PAUSE)

    async def _run(self, key: str) -> None:
        try:
            await asyncio.sleep(max(self._ended_at.get(key, -PAUSE) + self._pauses[key] - time.monotonic(), 0))
            self._placed_at[key] = await self._fetch(key) // 1000
            self._ended_at[key] = time.monotonic()
        except ExchangeError as error:
            self._ended_at[key] = time.monotonic()
            log.error("no snapshot; the book asks again", key=key, error=str(error))
        except Exception:
            self._ended_at[key] = time.monotonic()
            log.exception("no snapshot, by an error of our own; the book asks again", key=key)
        finally:
            if self._running.get(key) is asyncio.current_task():
                del self._running[key]
