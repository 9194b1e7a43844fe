"""Move instruments from some connections to others that are open as well: make before break, on every path."""

import asyncio
from collections.abc import Sequence

from ingest.connection import Connection
from ingest.handover import OVERLAP, TIMEOUT
from schemas.markers import Renewed

_CHECK_EVERY = 0.25  # s

UNSTEADY = "a connection is not open, or is being replaced"

Pair = tuple[Connection, Connection]  # old and new


async def move(symbols: Sequence[str], pairs: Sequence[Pair], reason: str) -> str:
    """Move instruments, by the exchange's names, that the new connections' `instruments` have already, for a reason.

    Return why they stay where they are; empty if they have moved. Then the old connections can unsubscribe.
    """
    for old, new in pairs:
        new.take_over(symbols, old)
    try:
        async with asyncio.timeout(TIMEOUT):
            while True:
                flowing = [new.subscriptions.all_flowing() for _, new in pairs]  # each must be asked, to proceed
                if all(flowing):
                    break
                if failure := _failure(pairs):
                    return _abort(pairs, failure)
                await asyncio.sleep(_CHECK_EVERY)
    except TimeoutError:
        return _abort(pairs, "not everything flows")
    await asyncio.sleep(OVERLAP)
    if failure := _failure(pairs):
        return _abort(pairs, failure)
    for _, new in pairs:
        new.finish_handover()
        new.mark(symbols, lambda channels: Renewed(channels=channels, reason=reason))
    return ""


def _failure(pairs: Sequence[Pair]) -> str:
    """Return why a move cannot go on: a socket that is lost or replaced has its own handover."""
    if all(connection.is_steady for pair in pairs for connection in pair):
        return ""
    return UNSTEADY


def _abort(pairs: Sequence[Pair], reason: str) -> str:
    for _, new in pairs:
        new.abort_handover()
    return reason
