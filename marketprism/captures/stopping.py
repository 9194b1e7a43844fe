"""Stop work on SIGINT and SIGTERM."""

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_event() -> Iterator[asyncio.Event]:
    """Return an event that SIGINT and SIGTERM set while the block lasts."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


async def unless_stopped(work: Coroutine[Any, Any, object]) -> bool:
    """Do the work, or cancel it at the first SIGINT or SIGTERM. Return whether it was finished."""
    with stop_event() as stop:
        return await finished_before(stop, work)


async def finished_before(stop: asyncio.Event, work: Coroutine[Any, Any, object]) -> bool:
    """Do the work, or cancel it when `stop` is set. Return whether it was finished. Raise its error."""
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        is_finished = working.done()
    finally:
        working.cancel()
        stopping.cancel()
        await asyncio.wait({working, stopping})
    if not working.cancelled():
        working.result()
    return is_finished
