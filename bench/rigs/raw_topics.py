"""Fill raw topics with frames, and run a real worker on them."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

import psutil
from aiokafka import AIOKafkaProducer

from bench.rigs.frames import Frame
from marketprism.local.processes import Child
from marketprism.local.roles import WORKER
from marketprism.ops.lag import until_drained
from marketprism.ops.topics import create_topics
from schemas.keys import input_partition_of
from schemas.raw import encode_line
from schemas.settings import Settings
from schemas.topics import WORKER_GROUP, raw_topic

# Children start from compiled bytecode, as in an installed system, even if Python is configured not to write any.
BYTECODE = {"PYTHONPYCACHEPREFIX": str(Path(__file__).parents[1] / "out" / "bytecode"), "PYTHONDONTWRITEBYTECODE": ""}
_STALLED_AFTER = 180.0  # s
_FRAMES_PER_RECORD = 20


def raw_records(
    frames: Iterable[Frame], partitions: int, frames_per_record: int = _FRAMES_PER_RECORD
) -> list[tuple[int, bytes]]:
    """Return partition and value of raw records, with each instrument's frames in its partition."""
    records: list[tuple[int, bytes]] = []
    lines: dict[int, list[bytes]] = {number: [] for number in range(partitions)}
    for stamp, key, frame in frames:
        partition = input_partition_of(key, partitions)
        lines[partition].append(encode_line(stamp, key, frame))
        if len(lines[partition]) == frames_per_record:
            records.append((partition, b"".join(lines[partition])))
            lines[partition] = []
    return records + [(partition, b"".join(rest)) for partition, rest in lines.items() if rest]


async def fill(settings: Settings, records: Iterable[tuple[int, bytes]]) -> None:
    """Create all topics, and send records to Binance's raw topic."""
    await create_topics(settings)
    await send(settings, records)


async def send(settings: Settings, records: Iterable[tuple[int, bytes]]) -> None:
    """Send records to Binance's raw topic."""
    topic = settings.topic(raw_topic("binance"))
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka, max_batch_size=1 << 20) as producer:
        for partition, value in records:
            await producer.send(topic, value, partition=partition)
        await producer.flush()


def worker(settings: Settings, log: Path) -> Child:
    """Return a worker as in production, not yet started."""
    return WORKER.child(log, settings.environment() | BYTECODE)


def cpu_seconds(child: Child) -> float:
    """Return the CPU seconds that the process has used so far."""
    times = psutil.Process(child.pid).cpu_times()
    return float(times.user + times.system)


def worker_cpu(settings: Settings, log: Path) -> float:
    """Return the CPU seconds that a worker uses for all records, from when it is ready until its lag is 0."""
    with worker(settings, log) as child:
        before = cpu_seconds(child)
        asyncio.run(until_workers_drained(settings))
        return cpu_seconds(child) - before


async def until_workers_drained(settings: Settings) -> None:
    """Wait until the workers' lag is 0. Raise `StackError` if it does not shrink, for example because one has died."""
    await until_drained(settings, WORKER_GROUP, stalled_after=_STALLED_AFTER)
