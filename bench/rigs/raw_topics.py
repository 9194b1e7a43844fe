"""Raw topics filled with frames, and a real worker over them."""

from collections.abc import Iterable
from pathlib import Path

import psutil
from aiokafka import AIOKafkaProducer

from bench.rigs.frames import Frame
from marketprism.local.processes import Child
from marketprism.local.roles import WORKER
from marketprism.ops.lag import until_drained
from schemas.keys import partition_of
from schemas.raw import encode_line
from schemas.settings import Settings
from schemas.topics import WORKER_GROUP, raw_topic

# Children start from compiled bytecode, as an installed system does, also where Python is told not to write any.
BYTECODE = {"PYTHONPYCACHEPREFIX": str(Path(__file__).parents[1] / "out" / "bytecode"), "PYTHONDONTWRITEBYTECODE": ""}
_STALLED_AFTER = 180.0  # s
_EACH = 20  # frames of a record


def raw_records(frames: Iterable[Frame], partitions: int, each: int = _EACH) -> list[tuple[int, bytes]]:
    """Partition and value of raw records of `each` frames, an instrument's in its partition."""
    found: list[tuple[int, bytes]] = []
    lines: dict[int, list[bytes]] = {number: [] for number in range(partitions)}
    for stamp, key, frame in frames:
        partition = partition_of(key, partitions)
        lines[partition].append(encode_line(stamp, key, frame))
        if len(lines[partition]) == each:
            found.append((partition, b"".join(lines[partition])))
            lines[partition] = []
    return found + [(partition, b"".join(rest)) for partition, rest in lines.items() if rest]


async def send(settings: Settings, records: Iterable[tuple[int, bytes]]) -> None:
    """The records into Binance's raw topic."""
    topic = settings.topic(raw_topic("binance"))
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka, max_batch_size=1 << 20) as producer:
        for partition, value in records:
            await producer.send(topic, value, partition=partition)
        await producer.flush()


def worker(settings: Settings, log: Path) -> Child:
    """A worker as it is run in earnest; not started yet."""
    return WORKER.child(log, settings.environment() | BYTECODE)


def cpu_seconds(child: Child) -> float:
    """What the process has used until now."""
    times = psutil.Process(child.pid).cpu_times()
    return float(times.user + times.system)


async def until_done(settings: Settings) -> None:
    """Wait until the workers have nothing before them; `StackError` if that does not come: has one died?"""
    await until_drained(settings, WORKER_GROUP, stalled_after=_STALLED_AFTER)
