"""Circuit breaker of one host: after repeated failures it is left alone, and callers fail fast."""

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from purgatory.domain.model import CLOSED, HALF_OPENED, OPENED, Context, OpenedState

from schemas.errors import ExchangeError

_FAILURES = 5  # attempts in a row
_FIRST_PAUSE = 5.0  # s for which the host is left alone; doubles while it stays down
_MAX_PAUSE = 30.0


class Breaker:
    """Circuit breaker: `with breaker:` around each attempt counts its failure, or raises `ExchangeError` while open.

    An `ExchangeError` in the block is no failure: the host has answered. After a pause one attempt is let through, as
    a probe. `on_change(up, reason)` is called when the host is found to be down, and when it is up again.
    """

    def __init__(self, host: str, on_change: Callable[[bool, str], None]) -> None:
        self._circuit = Context(host, _FAILURES, _FIRST_PAUSE, exclude=[ExchangeError])
        self._on_change = on_change
        self._is_probed = False

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

    def __enter__(self) -> Self:
        self.check()
        self._is_probed = self._circuit.state == HALF_OPENED
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._is_probed = False
        if isinstance(error, asyncio.CancelledError):
            return
        before = self._circuit.state
        self._circuit.__exit__(kind, error, at)
        self._circuit.messages.clear()
        if self._circuit.state != before:
            self._on_changed(before, error)

    def _on_changed(self, before: str, error: BaseException | None) -> None:
        if self._circuit.state == CLOSED:
            self._circuit.ttl = _FIRST_PAUSE
            self._on_change(True, "it answers again")
        elif before == HALF_OPENED:
            self._circuit.ttl = min(2 * self._circuit.ttl, _MAX_PAUSE)
        elif self._circuit.state == OPENED:
            self._on_change(False, str(error) or type(error).__name__)
