"""Background tasks of a simulated exchange."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Tasks:
    """Background tasks that are cancelled together."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine in the background."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def cancel(self) -> None:
        """Cancel all tasks that are still running."""
        for task in self._running:
            task.cancel()
