"""Faults of published data that last for a given time: a stall, a wrong clock."""

import asyncio

from marketprism.simulator.plans import Planted, Stall, TimedFault, WrongClock
from marketprism.simulator.server.tasks import Tasks


class TimedFaults:
    """The planted `Stall` and `WrongClock` of one feed."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._stalls: list[str] = []  # symbols; "" means all
        self.clock_offset = 0  # ms

    def plant(self, planted: Planted, plan: TimedFault) -> None:
        """Start a fault, which ends after the plan's `seconds`."""
        planted.start()
        if isinstance(plan, Stall):
            self._stalls.append(plan.symbol)
        else:
            self.clock_offset += plan.offset_ms
        self._tasks.spawn(self._end_later(planted, plan))

    def is_stalled(self, symbol: str) -> bool:
        """Return whether data of this symbol are withheld."""
        return bool(self._stalls) and ("" in self._stalls or symbol in self._stalls)

    async def _end_later(self, planted: Planted, plan: TimedFault) -> None:
        await asyncio.sleep(plan.seconds)
        if isinstance(plan, WrongClock):
            self.clock_offset -= plan.offset_ms
        else:
            self._stalls.remove(plan.symbol)
        planted.end()
