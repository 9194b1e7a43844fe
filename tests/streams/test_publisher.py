"""Publish in batches through a real producer, and notice a partition whose records are not taken."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from marketprism.ops.topics import read_all
from schemas.errors import StackError
from schemas.settings import Settings
from streams.publisher import Publishers

TRADES, QUOTES = "market.trades", "market.quotes"


@pytest.fixture
async def producer(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka) as started:
        yield started


@pytest.fixture
def publishers(producer: AIOKafkaProducer) -> Publishers:
    def fail(error: BaseException) -> None:
        raise error

    return Publishers(lambda: producer, fail, ())


async def test_records_arrive_in_order(settings: Settings, publishers: Publishers) -> None:
    """All records of a partition arrive, in the order in which they were queued."""
    for number in range(1000):
        publishers.put(settings.topic(TRADES), 1, b"key", b"%d" % number)
        if not number % 100:
            await asyncio.sleep(0.01)
    await publishers.drain()
    found = (await read_all(settings, TRADES))[1]
    assert [record.value for record in found] == [b"%d" % number for number in range(1000)]


async def test_a_new_topic_does_not_make_others_unknown(
    settings: Settings, producer: AIOKafkaProducer, publishers: Publishers
) -> None:
    """A client that has begun to track some topics still knows those that it publishes to."""
    await producer.client.force_metadata_update()  # of all topics, as none is tracked
    topic = settings.topic(TRADES)
    publishers.put(topic, 0, None, b"first")
    producer.client.add_topic(settings.topic(QUOTES))
    await producer.client.force_metadata_update()
    assert producer.client.cluster.partitions_for_topic(topic)
    async with asyncio.timeout(10):
        await publishers.drain()


async def test_a_partition_that_stalls_is_noticed(
    settings: Settings, publishers: Publishers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records that are not taken are noticed, whatever goes on in other partitions."""
    topic = settings.topic(TRADES)
    publishers.put(topic, 0, None, b"taken")
    await publishers.drain()
    publishers.check_progress(time.monotonic() + 1000)

    stuck: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    send = publishers.send

    async def stalling(batch: Any, to: str, partition: int) -> Any:
        if partition == 1:
            await stuck
        return await send(batch, to, partition)

    monkeypatch.setattr(publishers, "send", stalling)
    publishers.put(topic, 1, None, b"stuck")
    publishers.check_progress(time.monotonic() + 100)
    publishers.put(topic, 0, None, b"taken too")
    await publishers._publishers[topic, 0].drain()
    with pytest.raises(StackError, match=f"{topic}-1 are waiting"):
        publishers.check_progress(time.monotonic() + 121)
    stuck.set_result(None)
    await publishers.drain()
    publishers.check_progress(time.monotonic() + 1000)
