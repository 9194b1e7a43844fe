"""Circuit breaker of one host: after repeated failures it is left alone, and callers fail fast."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from purgatory.domain.model import CLOSED, HALF_OPENED, OPENED, Context, OpenedState

from schemas.errors import ExchangeError

_FAILURES = 5  # attempts in a row
_FIRST_PAUSE = 5.0  # s for which the host is left alone; doubles while it stays down
_MAX_PAUSE = 30.0


class Breaker:
    """Circuit breaker: `with breaker.attempt():` counts a failure, or raises `ExchangeError` while open.

    An `ExchangeError` in the block is no failure: the host has answered. After a pause one attempt is let through, as
    a probe, which alone decides: attempts that are still under way from before the break do not count any more.
    `on_change(up, reason)` is called when the host is found to be down, and when it is up again.
    """

    def __init__(self, host: str, on_change: Callable[[bool, str], None]) -> None:
        self._circuit = Context(host, _FAILURES, _FIRST_PAUSE, exclude=[ExchangeError])
        self._on_change = on_change
        self._is_probed = False
        self._changes = 0  # times that an attempt has opened or closed the circuit

    def check(self) -> None:
        """Raise `ExchangeError` while the host is left alone."""
        if self._is_probed or not self._lets_through():
            raise ExchangeError(f"{self._circuit.name} is down: no request is sent for now")

    def _lets_through(self) -> bool:
        try:
            self._circuit.handle_new_request()
        except OpenedState as opened:
            opened.opened_at = min(opened.opened_at, time.time())  # our clock may have been set back
            opened.__traceback__ = None  # it would grow, as the same error is raised each time
            return False
        return True

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Count the outcome of the block. Raise `ExchangeError` instead of entering it while the host is left alone."""
        self.check()
        self._is_probed = self._circuit.state == HALF_OPENED
        changes = self._changes
        try:
            yield
        except BaseException as error:
            self._on_end(changes, error)
            raise
        self._on_end(changes, None)

    def _on_end(self, changes: int, error: BaseException | None) -> None:
        """Count the outcome of an attempt that began after so many changes, unless there has been another since."""
        if changes != self._changes:
            return
        self._is_probed = False
        if isinstance(error, asyncio.CancelledError):
            return
        before = self._circuit.state
        if error is None:
            self._circuit.handle_end_request()
        else:
            self._circuit.handle_exception(error)
        self._circuit.messages.clear()
        if self._circuit.state != before:
            self._changes += 1
            self._on_changed(before, error)

    def _on_changed(self, before: str, error: BaseException | None) -> None:
        if self._circuit.state == CLOSED:
            self._circuit.ttl = _FIRST_PAUSE
            self._on_change(True, "it answers again")
        elif before == HALF_OPENED:
            self._circuit.ttl = min(2 * self._circuit.ttl, _MAX_PAUSE)
        elif self._circuit.state == OPENED:
            self._on_change(False, str(error) or type(error).__name__)
