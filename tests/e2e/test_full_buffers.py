"""A worker whose books all wait for their snapshots: it checkpoints, stops in time, and recovers after a restart."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from aiokafka import AIOKafkaProducer

from marketprism.ops.topics import read_all
from schemas.keys import input_partition_of
from schemas.settings import Settings
from schemas.topics import raw_topic
from tests.e2e.pipeline import Pipeline
from tests.frames import binance, line

log = structlog.get_logger(__name__)

INSTRUMENTS = 50
UPDATES = 260  # of 80 levels and about 3 kB each: more than a buffer takes


def for_instrument(number: int, frame: bytes) -> bytes:
    return frame.replace(b"BTCUSDT", b"C%dUSDT" % number).replace(b"btcusdt", b"c%dusdt" % number)


def side(best: int, step: int, changed: int) -> list[list[str]]:
    return [[f"{best + step * level}.{changed % 100_000_000:08}", f"{changed * 7919 % 1000}.12345678"]
            for level in range(40)]  # fmt: skip


async def _send(settings: Settings, records: list[tuple[str, bytes]]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka, max_request_size=4 << 20) as producer:
        for key, value in records:
            number = input_partition_of(key, settings.partitions)
            await producer.send(settings.topic(raw_topic("binance")), value, partition=number)
        await producer.flush()


async def _snapshots(settings: Settings) -> set[str]:
    """Return the keys of all published snapshots."""
    found = await read_all(settings, "market.books")
    return {
        record.key.decode() for records in found.values() for record in records if b'"type":"snapshot"' in record.value
    }


@pytest.mark.long
@pytest.mark.e2e
async def test_full_buffers(settings: Settings, tmp_path: Path) -> None:
    """50 instruments' buffered updates survive a restart, which takes seconds. After their snapshots all are live."""
    keys = {number: f"binance:C{number}-USDT" for number in range(INSTRUMENTS)}
    times = {}
    async with Pipeline(settings, tmp_path / "logs") as pipeline:
        await pipeline.worker()
        began = time.monotonic()
        await _send(settings, [record for first in range(1, UPDATES, 65) for record in _updates(keys, first)])
        await pipeline.wait_until_processed()
        times["checkpointed"] = time.monotonic() - began
        began = time.monotonic()
        await pipeline.supervisor.retire("worker")
        times["stopped"] = time.monotonic() - began
        began = time.monotonic()
        await pipeline.worker("again")
        await _send(settings, _seeds(keys))
        await pipeline.wait_until_processed()
        times["recovered"] = time.monotonic() - began
    log.info("seconds", **{name: round(seconds, 1) for name, seconds in times.items()})
    assert times["stopped"] < 10
    assert await _snapshots(settings) == set(keys.values())
    assert not [path for path in (tmp_path / "logs").iterdir() if "Traceback" in path.read_text()]


def _updates(keys: dict[int, str], first: int) -> Iterator[tuple[str, bytes]]:
    for number, key in keys.items():
        numbers = range(first, first + 65)
        each = [binance.depth(at, at, side(9_000, -1, at), side(9_001, 1, at)) for at in numbers]
        lines = (line(key, for_instrument(number, frame), at) for at, frame in zip(numbers, each, strict=True))
        yield key, b"".join(lines)


def _seeds(keys: dict[int, str]) -> list[tuple[str, bytes]]:
    seed = binance.snapshot(UPDATES - 5, [["1", "1"]], [["99999", "1"]])
    return [(key, line(key, for_instrument(number, seed), 60_000)) for number, key in keys.items()]
