"""Figures that are read again and again, with their age, so that an old one is never taken for a new one."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger(__name__)

T = TypeVar("T")

_EVERY = 1.0  # s
_ANSWER_WITHIN = 10.0  # s
_FRESH = 5.0  # s up to which no age is shown


class Reading(Generic[T]):
    """The last `value` that was read; `poll` goes on whatever reading it raises."""

    def __init__(self, name: str, unknown: T, read: Callable[[], Awaitable[T]]) -> None:
        self.value = unknown
        self._name = name
        self._read = read
        self._read_at = -math.inf
        self._failing = False

    @property
    def age(self) -> float:
        """Seconds since the value was read; infinite if it never was."""
        return time.monotonic() - self._read_at

    async def poll(self) -> None:
        """Read until cancelled."""
        while True:
            await self.once()
            await asyncio.sleep(_EVERY)

    async def once(self) -> bool:
        """Read; False, with the value left as it was, where that fails."""
        try:
            async with asyncio.timeout(_ANSWER_WITHIN):
                self.value = await self._read()
        except Exception as error:  # noqa: BLE001 - whatever it is, the view goes on and shows the value's age
            if not self._failing:
                log.info("no figures, trying again", of=self._name, reason=str(error) or repr(error))
            self._failing = True
            return False
        self._read_at, self._failing = time.monotonic(), False
        return True


def aged(seconds: float) -> str:
    """How to mark a figure of that age; empty while it is fresh."""
    if math.isinf(seconds):
        return "not known yet"
    return f"as of {seconds:.0f} s ago" if seconds > _FRESH else ""
