"""Outgoing requests: their order and their rate."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from ingest.exchanges.base import Request, Route
from ingest.exchanges.htx.spot import HtxSpot
from ingest.outbox import Outbox

BOOKS = [Route("data", f"C{number}", "books") for number in range(1000)]


def request(text: str) -> Request:
    return Request("1", text, ())


def repair(number: int) -> list[Request]:
    return [request(f"unsub {number}"), request(f"sub {number}")]


@asynccontextmanager
async def running(rate: tuple[float, float]) -> AsyncIterator[tuple[Outbox, list[str]]]:
    sent: list[str] = []

    async def send(message: Request) -> None:
        sent.append(message.text)

    outbox = Outbox(rate, send)
    task = asyncio.create_task(outbox.run())
    yield outbox, sent
    assert not task.done()
    task.cancel()


async def test_repairs_leave_a_reserve() -> None:
    """Endless repairs use three quarters of the hour's messages; subscriptions are still sent at once."""
    async with running((240, 3600)) as (outbox, sent):
        for number in range(1000):
            outbox.put_repair(BOOKS[number], partial(repair, number))
        await asyncio.sleep(0.3)
        assert len(sent) == 180
        outbox.put([request(f"new {number}") for number in range(25)])
        await asyncio.sleep(0.3)
        assert sent[180:205] == [f"new {number}" for number in range(25)]
        assert len(sent) < 208


async def test_one_repair_per_subscription() -> None:
    """However often a repair is requested, only one waits; a forgotten one is not sent."""
    async with running((2, 0.4)) as (outbox, sent):
        outbox.put([request("a"), request("b")])
        for _ in range(100):
            for number in range(3):
                outbox.put_repair(BOOKS[number], partial(repair, number))
        outbox.forget(BOOKS[1])
        await asyncio.sleep(1.6)
    assert sent == ["a", "b", "unsub 0", "sub 0", "unsub 2", "sub 2"]


async def test_the_limit_is_respected() -> None:
    """Messages are sent as fast as the exchange allows, repairs too while nothing else is waiting."""
    async with running((4, 0.4)) as (outbox, sent):
        began = time.monotonic()
        for number in range(10):
            outbox.put_repair(BOOKS[number], partial(repair, number))
        while len(sent) < 20:
            await asyncio.sleep(0.01)
            assert len(sent) <= 4 + (time.monotonic() - began) * 10 + 1
        assert time.monotonic() - began < 4


async def test_spot_requests_of_htx() -> None:
    """HTX rejects a `req` less than 100 ms after the last one: messages are sent evenly."""
    async with running(HtxSpot.message_rate) as (outbox, sent):
        began = time.monotonic()
        outbox.put([request("req")] * 3)
        while len(sent) < 3:
            await asyncio.sleep(0.01)
    assert time.monotonic() - began > 0.2
