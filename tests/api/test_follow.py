"""Following the topics: each event is applied once, whatever fails."""

import asyncio
from contextlib import suppress

from marketprism.api.follow import Follower
from marketprism.api.records import Record
from schemas.settings import Settings
from tests.client.publishing import publish, trade


async def test_an_event_that_cannot_be_applied(settings: Settings) -> None:
    """It is left out, and those before and after it are applied once."""
    applied: list[str] = []

    def apply(record: Record) -> None:
        number = record.source.split(":")[2]
        applied.append(number)
        if number == "3":
            raise RuntimeError("a bug")

    await publish(settings, "market.trades", map(trade, range(6)))
    task = asyncio.create_task(Follower(settings, apply).run())
    while len(applied) < 6:
        await asyncio.sleep(0.05)
    await publish(settings, "market.trades", [trade(6)])
    while "6" not in applied:
        await asyncio.sleep(0.05)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert applied == ["0", "1", "2", "3", "4", "5", "6"]
