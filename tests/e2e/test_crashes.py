"""Processes killed during a replay: exactly the rows of an undisturbed run are stored, each once."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from bench.rigs.frames import made_frames
from marketprism.captures.replay import replay
from marketprism.local.broker import Broker, free_port
from marketprism.ops.topics import create_topics, read_all
from schemas.events import TABLES
from schemas.feeds import FEEDS
from schemas.settings import Settings
from schemas.topics import raw_topic
from streams.raw_processor import RawProcessor
from tests.e2e.pipeline import Pipeline, kill

FRAMES = 60_000
CANDLES = "market.candles"
SPEED = 8.0  # a minute of frames in some seconds: long enough to kill processes meanwhile


def capture(path: Path) -> Path:
    """Write a capture of two spot instruments, as the hftbacktest collector does."""
    with path.open("wb") as file:
        for stamp, _, frame in made_frames(FRAMES):
            file.write(b"%d %s\n" % (stamp, frame))
    return path


async def expected_events(settings: Settings) -> dict[str, list[bytes]]:
    """Process the raw topic in this process, undisturbed. Return all events, by topic."""
    expected: dict[str, list[bytes]] = {topic: [] for topic in TABLES}
    for number, records in (await read_all(settings, raw_topic("binance"))).items():
        state = RawProcessor("binance", number, settings)
        for record in records:
            for topic, _, body in state.process(record.offset, record.value).records:
                if topic in TABLES:
                    expected[topic].append(body)
    return expected


async def expected_sources(settings: Settings) -> dict[str, list[str]]:
    """Return the sources of all events of an undisturbed run, by table."""
    return {TABLES[topic]: sources_of(events) for topic, events in (await expected_events(settings)).items()}


def sources_of(events: list[bytes]) -> list[str]:
    """Return the sources of events, sorted."""
    return sorted(orjson.loads(event)["source"] for event in events)


async def replayed_and_stored(pipeline: Pipeline, tmp_path: Path, *faults: Callable[[], None]) -> None:
    """Replay the capture, cause a fault every 2.5 s, and wait until everything is stored."""
    path = capture(tmp_path / "capture")
    replaying = asyncio.create_task(replay(pipeline.settings, [(FEEDS["binance-spot"], path)], SPEED))
    for fault in faults:
        await asyncio.sleep(2.5)
        await asyncio.to_thread(fault)
    await replaying
    await pipeline.wait_until_stored()


async def check(pipeline: Pipeline) -> None:
    """Check that every expected source is in its table once, even without FINAL, and that candles are the same."""
    expected = await expected_events(pipeline.settings)
    assert len(expected["market.trades"]) > FRAMES // 10
    for topic, events in expected.items():
        rows = await pipeline.query(f"SELECT source FROM {TABLES[topic]}")
        assert sorted(row["source"] for row in rows) == sources_of(events), topic
    published = await read_all(pipeline.settings, CANDLES)
    candles = {record.value for records in published.values() for record in records}  # repeated after a crash
    assert sorted(candles) == sorted(expected[CANDLES])
    assert any(orjson.loads(candle)["interval"] == "1m" and orjson.loads(candle)["closed"] for candle in candles)


@pytest.mark.e2e
async def test_worker_and_sink_killed(settings: Settings, tmp_path: Path) -> None:
    """The worker, the sink, and the worker again are killed with SIGKILL."""
    async with Pipeline(settings, tmp_path / "logs") as pipeline:
        sink = await pipeline.sink()
        worker = await pipeline.worker()
        await replayed_and_stored(pipeline, tmp_path, lambda: kill(worker), lambda: kill(sink), lambda: kill(worker))
        assert [status.restarts for status in pipeline.supervisor.statuses] == [1, 2]
        await check(pipeline)


@pytest.mark.long
@pytest.mark.e2e
async def test_one_of_two_workers_killed(settings: Settings, tmp_path: Path) -> None:
    """The killed worker's partitions move to the other one, and back once it has been restarted."""
    async with Pipeline(settings, tmp_path / "logs") as pipeline:
        await pipeline.sink()
        await pipeline.worker("worker-1")
        second = await pipeline.worker("worker-2")
        await replayed_and_stored(pipeline, tmp_path, lambda: kill(second))
        await check(pipeline)


@pytest.mark.e2e
async def test_broker_killed(tmp_path: Path, settings: Settings) -> None:
    """The broker is killed with SIGKILL while in use, and restarted on the same data."""
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
