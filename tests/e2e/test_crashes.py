"""Processes killed in the middle of a replay: what is stored is what an undisturbed run stores, each row once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.rigs.frames import made_frames
from marketprism.captures.replay import replay
from marketprism.local.broker import Broker, free_port
from marketprism.ops.topics import create_topics
from schemas.events import TABLES
from schemas.feeds import FEEDS
from schemas.settings import Settings
from schemas.topics import raw_topic
from streams.raw_processor import RawProcessor
from tests.e2e.pipeline import Pipeline, kill

FRAMES = 60_000
SPEED = 8.0  # a minute of frames in some seconds: long enough to be killed within


def capture(path: Path) -> Path:
    """A capture of two spot instruments, as the hftbacktest collector writes it."""
    with path.open("wb") as file:
        for stamp, _, frame in made_frames(FRAMES):
            file.write(b"%d %s\n" % (stamp, frame))
    return path


async def undisturbed(settings: Settings) -> dict[str, list[str]]:
    """What the raw topic must lead to: the sources of all events by table, computed in this process."""
    expected: dict[str, list[str]] = {table: [] for table in TABLES.values()}
    async with AIOKafkaConsumer(bootstrap_servers=settings.kafka) as consumer:
        for number in range(settings.partitions):
            place = TopicPartition(settings.topic(raw_topic("binance")), number)
            state = RawProcessor("binance", number, settings)
            async for offset, value in _records(consumer, place):
                for topic, _, body in state.process(offset, value).records:
                    if topic in TABLES:
                        expected[TABLES[topic]].append(orjson.loads(body)["source"])
    return {table: sorted(sources) for table, sources in expected.items()}


async def _records(consumer: AIOKafkaConsumer, place: TopicPartition) -> AsyncIterator[tuple[int, bytes]]:
    consumer.assign([place])
    await consumer.seek_to_beginning(place)
    end = (await consumer.end_offsets([place]))[place]
    while await consumer.position(place) < end:
        message = await consumer.getone(place)
        yield message.offset, message.value


async def replayed_and_stored(pipeline: Pipeline, tmp_path: Path, *faults: Callable[[], None]) -> None:
    """Replay the capture, with a fault each so often, and wait until all of it is stored."""
    path = capture(tmp_path / "capture")
    replaying = asyncio.create_task(replay(pipeline.settings, [(FEEDS["binance-spot"], path)], SPEED))
    for fault in faults:
        await asyncio.sleep(2.5)
        await asyncio.to_thread(fault)
    await replaying
    await pipeline.stored()


async def check(pipeline: Pipeline) -> None:
    """Every expected source stands in its table once; `count()` without FINAL."""
    expected = await undisturbed(pipeline.settings)
    assert len(expected["trades"]) > FRAMES // 10
    for table, sources in expected.items():
        rows = await pipeline.ask(f"SELECT source FROM {table}")
        assert sorted(row["source"] for row in rows) == sources, table


@pytest.mark.e2e
async def test_worker_and_sink_killed(settings: Settings, tmp_path: Path) -> None:
    """kill -9 of the worker, of the sink, and of the worker again."""
    async with Pipeline(settings, tmp_path / "logs") as pipeline:
        sink = await pipeline.sink()
        worker = await pipeline.worker()
        await replayed_and_stored(pipeline, tmp_path, lambda: kill(worker), lambda: kill(sink), lambda: kill(worker))
        assert [status.restarts for status in pipeline.supervisor.statuses] == [1, 2]
        await check(pipeline)


@pytest.mark.e2e
async def test_one_of_two_workers_killed(settings: Settings, tmp_path: Path) -> None:
    """Its partitions move to the other, and back when it has been started again."""
    async with Pipeline(settings, tmp_path / "logs") as pipeline:
        await pipeline.sink()
        await pipeline.worker("worker-1")
        second = await pipeline.worker("worker-2")
        await replayed_and_stored(pipeline, tmp_path, lambda: kill(second))
        await check(pipeline)


@pytest.mark.e2e
async def test_broker_killed(tmp_path: Path, settings: Settings) -> None:
    """kill -9 of the broker under producers and consumers; it comes back on the same data."""
    broker = Broker(tmp_path / "kafka", free_port())
    await asyncio.to_thread(broker.start)
    try:
        own = Settings(**settings.model_dump() | {"kafka": broker.bootstrap})
        await create_topics(own)
        async with Pipeline(own, tmp_path / "logs") as pipeline:
            await pipeline.sink()
            await pipeline.worker()

            def restart() -> None:
                broker.kill()
                broker.start()

            await replayed_and_stored(pipeline, tmp_path, restart)
            await check(pipeline)
    finally:
        await asyncio.to_thread(broker.stop)
