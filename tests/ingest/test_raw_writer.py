"""The raw writer on a real broker that is killed."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import orjson
import pytest
from structlog.testing import capture_logs

from ingest.raw_writer import RawWriter
from marketprism.local.broker import Broker, free_port
from marketprism.ops.topics import create_topics
from schemas.feeds import FEEDS
from schemas.markers import MARKER
from schemas.raw import RawLine
from schemas.settings import Settings, load_settings
from tests.ingest.reading import read_lines, read_records

KEYS = ("okx:BTC-USDT", "okx:ETH-USDT", "okx:BTC-USDT-PERP")


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Run a broker for this module alone, to be killed."""
    with Broker(tmp_path_factory.mktemp("mortal"), free_port()) as running:
        yield running


@pytest.fixture
async def own(mortal: Broker) -> Settings:
    made = load_settings(kafka=mortal.bootstrap, topic_prefix=f"t{uuid4().hex[:8]}.", partitions=2, buffer_mb=1)
    await create_topics(made)
    return made


async def revive(broker: Broker) -> None:
    """Start a broker without blocking the loop. Not in a thread: a child dies with the thread that started it."""
    broker.spawn()
    while not broker.ready():
        await asyncio.sleep(0.05)


def frames(lines: list[RawLine]) -> list[int]:
    return [int(line.frame.split(b" ")[0]) for line in lines if not line.frame.startswith(MARKER)]


async def write(writer: RawWriter, numbers: range, padding: int, interval: float) -> None:
    for number in numbers:
        for key in KEYS:
            writer.write_frame(time.time_ns(), key, b"%d " % number + b"x" * padding)
        await asyncio.sleep(interval)


async def test_records_are_batches(settings: Settings) -> None:
    """The first frame is sent alone; those that keep coming share a record per linger time."""
    async with RawWriter(settings, [FEEDS["okx"]]) as writer:
        await asyncio.sleep(2.5)  # until it is connected
        await write(writer, range(1), 10, 0.1)
        await write(writer, range(1, 1000), 10, 0.0002)
    records = [value for found in (await read_records(settings, "okx")).values() for _, value in found]
    counts = [value.count(b" x") for value in records if b" x" in value]
    assert counts[0] <= len(KEYS)
    assert sum(counts) == 3000
    assert len(counts) < 600
    lines = await read_lines(settings, "okx")
    assert all(frames(lines[key]) == list(range(1000)) for key in KEYS)


async def test_short_outage(mortal: Broker, own: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the broker is down frames are buffered: none is lost, duplicated or reordered. The outage is suspected."""
    signs: list[str] = []
    monkeypatch.setattr("ingest.producer.suspect_broker", signs.append)
    with capture_logs() as logs:
        async with RawWriter(own, [FEEDS["okx"]]) as writer:
            await write(writer, range(100), 20, 0.01)
            mortal.kill()
            await write(writer, range(100, 500), 20, 0.01)
            await revive(mortal)
            await write(writer, range(500, 600), 20, 0.01)
    lines = await read_lines(own, "okx")
    for key in KEYS:
        assert frames(lines[key]) == list(range(600))
        assert not [line for line in lines[key] if b'"lost"' in line.frame]
    assert "raw records are not acknowledged: they are buffered" in signs
    assert not logs


@pytest.mark.long
async def test_long_outage(mortal: Broker, own: Settings) -> None:
    """Beyond the limit frames are dropped, and each instrument's loss is marked in place, with its count."""
    async with RawWriter(own, [FEEDS["okx"]]) as writer:
        await write(writer, range(50), 1000, 0.01)
        mortal.kill()
        await write(writer, range(50, 650), 1000, 0.005)
        await revive(mortal)
        await asyncio.sleep(4)
        await write(writer, range(650, 700), 1000, 0.005)
    lines = await read_lines(own, "okx")
    for key in KEYS:
        numbers = frames(lines[key])
        assert numbers == sorted(set(numbers))
        assert numbers[:50] == list(range(50))
        assert numbers[-50:] == list(range(650, 700))
        [place] = [number for number, line in enumerate(lines[key]) if b'"lost"' in line.frame]
        lost = orjson.loads(lines[key][place].frame)
        before, after = frames(lines[key][:place]), frames(lines[key][place:])
        assert lost["frames"] == 700 - len(numbers) == after[0] - before[-1] - 1


async def test_broker_starts_late(tmp_path: Path) -> None:
    """Without a broker, then without topics, frames are buffered; they are written once both exist."""
    late = Broker(tmp_path / "kafka", free_port())
    made = load_settings(kafka=late.bootstrap, partitions=2)
    try:
        with capture_logs() as logs:
            async with RawWriter(made, [FEEDS["okx"]]) as writer:
                await write(writer, range(10), 10, 0.01)
                await revive(late)
                await asyncio.sleep(2)
                await create_topics(made)
                await asyncio.sleep(2)
        assert frames((await read_lines(made, "okx"))[KEYS[0]]) == list(range(10))
        assert any("topics are missing" in entry["event"] for entry in logs)
    finally:
        late.stop()
