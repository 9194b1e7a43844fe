"""What is said to the exchange, in which order, and that nobody waits for it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from ingest.exchanges.base import Request, Route
from ingest.outbox import Outbox

BOOKS = [Route("data", f"C{number}", "books") for number in range(1000)]


def request(text: str) -> Request:
    return Request("1", text, ())


def repair(number: int) -> list[Request]:
    return [request(f"unsub {number}"), request(f"sub {number}")]


@asynccontextmanager
async def running(rate: tuple[float, float]) -> AsyncIterator[tuple[Outbox, list[str]]]:
    said: list[str] = []

    async def say(asked: Request) -> None:
        said.append(asked.text)

    outbox = Outbox(rate, say)
    task = asyncio.create_task(outbox.run())
    yield outbox, said
    assert not task.done()
    task.cancel()


async def test_repairs_leave_a_reserve() -> None:
    """Repairs without end use three quarters of the hour's messages; subscriptions still go at once."""
    async with running((240, 3600)) as (outbox, said):
        for number in range(1000):
            outbox.repair(BOOKS[number], partial(repair, number))
        await asyncio.sleep(0.3)
        assert len(said) == 180
        outbox.put([request(f"new {number}") for number in range(25)])
        await asyncio.sleep(0.3)
        assert said[180:205] == [f"new {number}" for number in range(25)]
        assert len(said) < 208


async def test_one_repair_a_stream() -> None:
    """However often a repair is asked for, one waits; what is forgotten is not sent."""
    async with running((2, 0.4)) as (outbox, said):
        outbox.put([request("a"), request("b")])
        for _ in range(100):
            for number in range(3):
                outbox.repair(BOOKS[number], partial(repair, number))
        outbox.forget(BOOKS[1])
        await asyncio.sleep(1.6)
    assert said == ["a", "b", "unsub 0", "sub 0", "unsub 2", "sub 2"]


async def test_the_limit_is_kept() -> None:
    """Messages go as often as the exchange allows, repairs too once nothing else is to be said."""
    async with running((4, 0.4)) as (outbox, said):
        began = time.monotonic()
        for number in range(10):
            outbox.repair(BOOKS[number], partial(repair, number))
        while len(said) < 20:
            await asyncio.sleep(0.01)
            assert len(said) <= 4 + (time.monotonic() - began) * 10 + 1
        assert time.monotonic() - began < 4
