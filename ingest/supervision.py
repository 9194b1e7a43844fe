"""Isolate the parts of ingest from each other: log an error in one part, and restart only that part."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

import structlog

from schemas.logs import error_text

_FIRST_DELAY = 0.5  # s before the first restart; doubles
_MAX_DELAY = 30.0
_HEALTHY_AFTER = 60.0  # s of running after which the next restart is quick again


async def supervise(part: str, run: Callable[[], Awaitable[None]], log: structlog.stdlib.BoundLogger) -> None:
    """Run a part until it returns; restart it after an error, with jittered back-off.

    An error that repeats is logged with its traceback only once.
    """
    failures, last = 0, ""
    while True:
        began = time.monotonic()
        try:
            return await run()
        except Exception as error:
            failures = 0 if time.monotonic() - began > _HEALTHY_AFTER else failures + 1
            delay, text = backoff_delay(max(failures - 1, 0)), describe_error(error)
            known, last = text == last, text
            log.error(
                "internal error: restarting",
                part=part,
                error=text,
                retry_in_s=round(delay, 2),
                exc_info=not known,
            )
        await asyncio.sleep(delay)


def describe_error(error: BaseException) -> str:
    """Return the error's class and text; for an exception group, those of each error in it."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(map(describe_error, error.exceptions))
    return f"{type(error).__name__}: {error_text(error)}"


def backoff_delay(failures: int) -> float:
    """Return the seconds to wait after the given number of failures: exponential, with jitter."""
    return float(min(_FIRST_DELAY * 2 ** min(failures, 10), _MAX_DELAY) * random.uniform(0.5, 1))
