"""Poll values for the live view and keep their age, so that an old value is never mistaken for a new one."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger(__name__)

T = TypeVar("T")

_EVERY = 1.0  # s
_TIMEOUT = 10.0  # s
_FRESH = 5.0  # s; the age of a younger value is not shown


@dataclass(frozen=True)
class Reading(Generic[T]):
    """A polled value at one moment, and its age in seconds; infinite if it was never read."""

    value: T
    age: float = 0.0


class PolledValue(Generic[T]):
    """Last `value` that was read successfully, initially `unknown`. `poll` continues whatever error `read` raises."""

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

    def reading(self) -> Reading[T]:
        """Return the value and its age as they are now."""
        return Reading(self.value, self.age)

    async def poll(self) -> None:
        """Read every second until cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(_EVERY)

    async def refresh(self) -> bool:
        """Read the value once. Keep the old one and return False if that fails."""
        try:
            async with asyncio.timeout(_TIMEOUT):
                self.value = await self._read()
        except Exception as error:  # noqa: BLE001 - after any error, the view continues and shows the value's age
            if not self._failing:
                log.info("cannot read, trying again", value=self._name, reason=error)
            self._failing = True
            return False
        self._read_at, self._failing = time.monotonic(), False
        return True


def age_note(seconds: float) -> str:
    """Describe the age of a value. Return an empty string while it is fresh."""
    if math.isinf(seconds):
        return "not known yet"
    return f"as of {seconds:.0f} s ago" if seconds > _FRESH else ""
