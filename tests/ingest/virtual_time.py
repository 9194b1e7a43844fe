"""Virtual time: an event loop that jumps to its next timer as soon as it is idle, so that a day takes seconds."""

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

T = TypeVar("T")

_IN_FLIGHT = 0.02  # s of real time for which data that is on its way between two sockets is waited for
_STEP = 1e-6  # s that a round of the loop takes: a wait that ends by a rounding error too early is repeated


class VirtualTime:
    """Clock of this process while a test runs. Only idle time passes: work takes next to none.

    `awaits_data()`: whether sockets have something on its way, so that the loop is not idle but waits for the kernel.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, epoch: float = 1_790_000_000.0) -> None:
        self.elapsed = 0.0
        self.epoch = epoch
        self.awaits_data: Callable[[], bool] = lambda: False
        monkeypatch.setattr(time, "monotonic", lambda: self.elapsed)
        monkeypatch.setattr(time, "monotonic_ns", lambda: int(self.elapsed * 1e9))
        monkeypatch.setattr(time, "time", lambda: self.epoch + self.elapsed)
        monkeypatch.setattr(time, "time_ns", lambda: int((self.epoch + self.elapsed) * 1e6) * 1000)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in virtual time."""
        with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(_JumpingSelector(self))) as runner:
            return runner.run(main)


class _JumpingSelector(selectors.EpollSelector):
    def __init__(self, clock: VirtualTime) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if found or (timeout is not None and timeout <= 0):
            self._clock.elapsed += _STEP
            return found
        if timeout is None or self._clock.awaits_data():
            found = super().select(_IN_FLIGHT)
        if not found and timeout is not None:
            self._clock.elapsed += timeout
        return found
