"""Keep the parts of ingest apart: an error of one is logged, and that part alone is started again."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

import structlog

_FIRST_DELAY = 0.5  # s before the first restart; doubles
_MOST_DELAY = 30.0
_HEALTHY = 60.0  # s after which the next restart is quick again


async def supervise(what: str, run: Callable[[], Awaitable[None]], log: structlog.stdlib.BoundLogger) -> None:
    """Run until it returns; after an error restart it, with jittered back-off. The same error has one traceback."""
    failures, last = 0, ""
    while True:
        began = time.monotonic()
        try:
            return await run()
        except Exception as error:
            failures = 0 if time.monotonic() - began > _HEALTHY else failures + 1
            delay, text = delay_after(max(failures - 1, 0)), described(error)
            known, last = text == last, text
            log.error(
                "failed by an error of our own: starting again",
                what=what,
                error=text,
                again_in_s=round(delay, 2),
                exc_info=not known,
            )
        await asyncio.sleep(delay)


def described(error: BaseException) -> str:
    """The errors themselves, out of the groups that hold them."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(map(described, error.exceptions))
    return repr(error)


def delay_after(failures: int) -> float:
    """Exponential, with jitter: seconds before the attempt after so many failures."""
    return float(min(_FIRST_DELAY * 2 ** min(failures, 10), _MOST_DELAY) * random.uniform(0.5, 1))
