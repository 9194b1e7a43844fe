"""Heartbeat and lifetime of one socket."""

import asyncio
from typing import ClassVar

from ingest.exchanges.okx import Okx
from ingest.keepalive import Keepalive


class Impatient(Okx):
    """OKX, with times that a test can wait for."""

    ping_after_s: ClassVar[float] = 0.1
    connection_timeout_s: ClassVar[float] = 1.0
    lifetime_s: ClassVar[float] = 0.5


def keepalive() -> tuple[Keepalive, list[str], list[str]]:
    """Return a keepalive, and the lists of what it sends and of its reasons to renew."""
    sent: list[str] = []
    reasons: list[str] = []

    async def send(text: str) -> None:
        sent.append(text)

    return Keepalive(Impatient(), send, reasons.append), sent, reasons


async def test_idle_socket() -> None:
    """An idle socket is pinged once, and counts as dead if nothing arrives."""
    tested, sent, _ = keepalive()
    assert await tested.check(1) == ""
    assert sent == []
    for _ in range(2):
        await asyncio.sleep(0.11)
        assert await tested.check(1) == ""
        assert sent == ["ping"]
    await asyncio.sleep(1.0)
    assert (await tested.check(1)).startswith("silent for")


async def test_busy_socket() -> None:
    """A socket that receives frames is never pinged, and renewed after its lifetime."""
    tested, sent, reasons = keepalive()
    for frames in range(1, 13):
        await asyncio.sleep(0.05)
        assert await tested.check(frames) == ""
    assert reasons[0] == "renewed before the exchange's limit"
    assert sent == []
