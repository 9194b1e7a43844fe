"""Move instruments from some connections to others that are open as well: make before break, on every path."""

import asyncio
import time
from collections.abc import Sequence

from ingest.connection import Connection
from ingest.handover import OVERLAP, TIMEOUT
from schemas.markers import Connected, Renewed

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
                    return _abort(symbols, pairs, failure)
                await asyncio.sleep(_CHECK_EVERY)
    except TimeoutError:
        return _abort(symbols, pairs, "not everything flows")
    if failure := await _overlap(pairs):
        return _abort(symbols, pairs, failure)
    for _, new in pairs:
        new.finish_handover()
        new.mark(symbols, lambda channels: Renewed(channels=channels, reason=reason))
    return ""


async def _overlap(pairs: Sequence[Pair]) -> str:
    """Let both deliver for a while. Return why the move cannot go on: what was silenced is lost until then."""
    ends_at = time.monotonic() + OVERLAP
    while not (failure := _failure(pairs)) and time.monotonic() < ends_at:
        await asyncio.sleep(_CHECK_EVERY)
    return failure


def _failure(pairs: Sequence[Pair]) -> str:
    """Return why a move cannot go on: a socket that is lost or replaced has its own handover."""
    if all(connection.is_steady for pair in pairs for connection in pair):
        return ""
    return UNSTEADY


def _abort(symbols: Sequence[str], pairs: Sequence[Pair], reason: str) -> str:
    for old, new in pairs:
        new.abort_handover()
        if old.open and not new.open:  # which has reported as lost what the old one serves again
            served = [symbol for symbol in symbols if symbol in old.instruments]  # others were delisted meanwhile
            old.mark(served, lambda channels: Connected(channels=channels))
    return reason
