"""The fault `RateLimit`: requests are answered as if the rate limit were exceeded."""

import asyncio
import time
from math import ceil
from typing import Literal

from marketprism.simulator.plans import Planted, RateLimit
from marketprism.simulator.server.tasks import Tasks


class RateLimits:
    """The planted `RateLimit` of one feed."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._armed: list[tuple[Planted, RateLimit]] = []

    def plant(self, planted: Planted, plan: RateLimit) -> None:
        """Arm a limit of a number of requests, or start one that lasts for some time."""
        self._armed.append((planted, plan))
        if plan.seconds is not None:
            planted.start()
            self._tasks.spawn(self._end_later(planted, plan, plan.seconds))

    def count_request(self, where: Literal["rest", "ws"]) -> tuple[int, int] | None:
        """Count a request; return the HTTP status and the seconds to wait if it is rejected, else None."""
        for planted, plan in self._armed:
            if plan.where == where:
                if planted.count("requests") == plan.count and plan.seconds is None:
                    self._end(planted, plan)
                return plan.status, _retry_after(planted, plan)
        return None

    async def _end_later(self, planted: Planted, plan: RateLimit, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._end(planted, plan)

    def _end(self, planted: Planted, plan: RateLimit) -> None:
        self._armed.remove((planted, plan))
        planted.end()


def _retry_after(planted: Planted, plan: RateLimit) -> int:
    """Return the remaining time in whole seconds, as exchanges report it."""
    passed = (time.time_ns() - planted.started_at) / 1e9
    return max(1, ceil((plan.seconds or 0.0) - passed))
