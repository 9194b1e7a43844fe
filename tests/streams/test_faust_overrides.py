"""Faust delivers every record in order and commits it, on a real broker."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from schemas.settings import Settings
from schemas.topics import JOIN
from streams.faust_overrides import StreamsApp

BEHIND, ALL, COMMITTED = 400, 500, 100
_SLOW = 1.5  # s, longer than a fetch waits for records


async def send(settings: Settings, place: TopicPartition, count: int) -> None:
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka) as producer:
        for number in range(count):
            await producer.send(place.topic, b"%d" % number, partition=place.partition)


async def backlog(settings: Settings, group: str) -> TopicPartition:
    """Produce records, of which the group has committed some, and a table with an entry."""
    place, changelog = TopicPartition(settings.topic(JOIN), 0), f"{group}-held-changelog"
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await admin.start()
    await admin.create_topics([NewTopic(changelog, settings.partitions, 1)])
    await admin.close()
    await send(settings, TopicPartition(changelog, 0), 1)
    await send(settings, place, BEHIND)
    async with AIOKafkaConsumer(bootstrap_servers=settings.kafka, group_id=group, enable_auto_commit=False) as consumer:
        consumer.assign([place])
        await consumer.commit({place: COMMITTED})
    return place


async def committed(settings: Settings, group: str, place: TopicPartition) -> int:
    async with AIOKafkaConsumer(bootstrap_servers=settings.kafka, group_id=group, enable_auto_commit=False) as consumer:
        consumer.assign([place])
        return int(await consumer.committed(place) or 0)


def reading(settings: Settings, group: str, datadir: Path, **more: Any) -> StreamsApp:
    return StreamsApp(
        group, datadir=datadir, broker=f"kafka://{settings.kafka}", store="memory://",
        topic_partitions=settings.partitions, topic_disable_leader=True, broker_commit_interval=0.2,
        stream_wait_empty=False, autodiscover=False, **more,
    )  # fmt: skip


@pytest.mark.e2e
async def test_a_slow_stream_gets_every_record_in_order(settings: Settings, tmp_path: Path) -> None:
    """With space for a few records only, the consumer waits until the stream has taken some, and then goes on."""
    group, place = settings.topic("reader"), TopicPartition(settings.topic(JOIN), 0)
    await send(settings, place, ALL)
    app, values = reading(settings, group, tmp_path, stream_buffer_maxsize=4), list[int]()

    @app.agent(app.topic(place.topic, value_serializer="raw"))
    async def reader(stream: Any) -> None:
        async for value in stream:
            values.append(int(value))
            if len(values) % 10 == 0:
                await asyncio.sleep(0.005)

    async with app, asyncio.timeout(30):
        while await committed(settings, group, place) < ALL:
            await asyncio.sleep(0.1)
    assert values == list(range(ALL))


@pytest.mark.e2e
async def test_a_backlog_is_read_once_and_committed(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This is so however long the seek to the committed offsets takes at the start."""
    group = settings.topic("reader")
    place = await backlog(settings, group)
    app = reading(settings, group, tmp_path)
    app.Table("held", key_type=bytes, value_type=bytes, partitions=settings.partitions)
    offsets: list[int] = []
    held: list[Any] = []
    sought = asyncio.Event()

    @app.agent(app.topic(place.topic, value_serializer="raw"))
    async def reader(stream: Any) -> None:
        async for event in stream.noack().events():
            offsets.append(event.message.offset)
            held.append(event)
            while sought.is_set() and held:
                held.pop().ack()

    seek = app.consumer.seek_to_committed

    async def slow_seek() -> Any:
        await asyncio.sleep(_SLOW)
        found = await seek()
        await asyncio.sleep(_SLOW)
        sought.set()
        return found

    monkeypatch.setattr(app.consumer, "seek_to_committed", slow_seek)
    async with app, asyncio.timeout(30):
        await sought.wait()
        assert app.consumer._thread._consumer._fetcher._fetch_max_wait_ms == 50  # not Faust's fixed 1500
        await send(settings, place, ALL - BEHIND)
        while await committed(settings, group, place) < ALL:
            await asyncio.sleep(0.1)
    assert offsets == list(range(COMMITTED, ALL))
