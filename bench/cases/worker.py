"""One Faust worker from raw topic to published events, including books, join, checkpoints and publishing.

It is compared with the same work in one process without Kafka and Faust, and with a plain aiokafka consumer of the same
records. The unit is frames per second of the worker process's CPU time, from its first record to its last checkpoint.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.harness import Result, compare, per_second
from bench.rigs.frames import Frame
from bench.rigs.raw_topics import fill, raw_records, worker_cpu
from marketprism.local.broker import Broker, free_port
from schemas.settings import Settings, load_settings
from schemas.topics import raw_topic
from streams.arbitrage.join import JoinProcessor
from streams.raw_processor import RawProcessor

_PARTITIONS = 2


def measure(frames: list[Frame], rounds: int = 3) -> list[Result]:
    """Measure a worker, the same work in one process, and a plain consumer."""
    numbers = count()
    with tempfile.TemporaryDirectory() as folder, Broker(Path(folder) / "kafka", free_port()) as broker:

        def filled_topics() -> Settings:
            prefix = f"b{next(numbers)}."
            settings = load_settings(kafka=broker.bootstrap, topic_prefix=prefix, partitions=_PARTITIONS)
            asyncio.run(fill(settings, raw_records(frames, settings.partitions)))
            return settings

        def ours() -> float:
            return len(frames) / worker_cpu(filled_topics(), Path(folder) / f"{next(numbers)}.log")

        def floor() -> float:
            settings = filled_topics()
            before = time.process_time()
            asyncio.run(_consume(settings))
            return len(frames) / (time.process_time() - before)

        name, in_process = "worker: raw topic to events", per_second(len(frames), _in_process(frames))
        return [
            compare(name, "frames/s", ours, "the same in one process", in_process, rounds),
            compare(name, "frames/s", ours, "plain aiokafka consumer", floor, rounds),
        ]


def _in_process(frames: list[Frame]) -> Callable[[], None]:
    """Return the work of both agents on raw records of these frames."""
    values = [value for _, value in raw_records(frames, 1)]
    settings = load_settings(partitions=_PARTITIONS)

    def run() -> None:
        books, joins = RawProcessor("binance", 0, settings), [JoinProcessor(n, settings) for n in range(_PARTITIONS)]
        for offset, value in enumerate(values):
            for number, lines in books.process(offset, value).joins.items():
                joins[number].process(offset, b"\n".join(lines))

    return run


async def _consume(settings: Settings) -> None:
    topic = settings.topic(raw_topic("binance"))
    places = [TopicPartition(topic, number) for number in range(settings.partitions)]
    async with AIOKafkaConsumer(bootstrap_servers=settings.kafka) as consumer:
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            await consumer.getmany(timeout_ms=100)
