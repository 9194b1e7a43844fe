"""Processes started before the broker or the topics are there: they wait, say so, and then work at once."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from marketprism.captures.replay import replay
from marketprism.local.broker import Broker, free_port
from marketprism.local.doctor import examine
from marketprism.local.processes import Child, says
from marketprism.ops.topics import create_topics
from schemas.feeds import FEEDS
from schemas.settings import Settings, load_settings
from tests.captures.test_replay import T0, collected, trade
from tests.e2e.pipeline import Pipeline

WORKER = ("-m", "faust", "-A", "streams.app", "worker", "-l", "info")
WAITS = "waiting: topics are missing"


@pytest.fixture
def bare(broker: Broker, tmp_path: Path) -> Settings:
    """Settings whose topics do not exist."""
    return load_settings(
        kafka=broker.bootstrap,
        topic_prefix=f"t{uuid4().hex[:8]}.",
        partitions=3,
        clickhouse=f"chdb://{tmp_path}/clickhouse",
        sql_address=f"127.0.0.1:{free_port()}",
        endpoints={"binance-spot": {"rest": "http://127.0.0.1:9"}},
    )


@pytest.fixture
async def pipeline(bare: Settings, tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with Pipeline(bare, tmp_path / "logs") as running:
        yield running


def waiting_worker(settings: Settings, log: Path, said: str = WAITS) -> Child:
    environment = settings.environment() | {"PYTHONUNBUFFERED": "1"}
    return Child("worker", [sys.executable, *WORKER], log, says(said), environment, timeout=30)


async def said(child: Child, text: str, within: float = 30.0) -> float:
    began = time.monotonic()
    while text not in child.output():
        assert time.monotonic() - began < within, child.tail()
        await asyncio.sleep(0.1)
    return time.monotonic() - began


@pytest.mark.e2e
async def test_topics_made_after_the_start(pipeline: Pipeline, tmp_path: Path) -> None:
    """Two workers and the sink, then the topics, then a third worker: all get partitions soon, and rows are stored."""
    settings = pipeline.settings
    first = await pipeline.start("first", *WORKER, ready=WAITS)
    second = await pipeline.start("second", *WORKER, ready=WAITS)
    sink = await pipeline.start("sink", "-m", "sinks", ready="")
    assert f"{settings.topic_prefix}raw.okx" in first.output()
    assert "`marketprism topics --create`" in first.output()
    await create_topics(settings)
    assert await said(first, "Worker ready") < 12
    await said(second, "Worker ready")
    third = await pipeline.worker("third")
    await said(sink, "partitions assigned")
    rows = [(T0 + n * 2_000_000, trade("BTCUSDT", n)) for n in range(200)]
    await replay(settings, [(FEEDS["binance-spot"], collected(tmp_path / "spot.gz", rows))])
    await pipeline.stored()
    assert await pipeline.ask("SELECT count() AS rows FROM trades") == [{"rows": 200}]
    for worker in (first, second, third):
        assert "state restored" in worker.output()  # of a partition whose records it was given
        assert "Ignoring missing topic" not in worker.output()
    groups = next(finding for finding in await examine(settings) if finding.name == "groups")
    assert groups.ok, groups.text


@pytest.mark.e2e
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_wait_ends_when_asked(bare: Settings, tmp_path: Path, number: signal.Signals) -> None:
    """A signal to a worker that waits ends it at once and in order."""
    worker = waiting_worker(bare, tmp_path / "worker.log")
    with worker:
        began = time.monotonic()
        assert worker.pid
        os.kill(worker.pid, number)
        while worker.alive():
            assert time.monotonic() - began < 5, worker.tail()
            time.sleep(0.05)
        assert worker.exit_code in (0, 130)
        assert "Traceback" not in worker.output()


@pytest.mark.e2e
async def test_broker_after_the_worker(bare: Settings, tmp_path: Path) -> None:
    """Without a broker the worker waits, without a traceback; once it and the topics are there, it starts."""
    broker = Broker(tmp_path / "kafka", free_port())
    settings = load_settings(**bare.model_dump() | {"kafka": broker.bootstrap})
    worker = waiting_worker(settings, tmp_path / "worker.log", "waiting: no broker answers")
    await asyncio.to_thread(worker.start)
    try:
        await asyncio.to_thread(broker.start)
        await create_topics(settings)
        await said(worker, "Worker ready")
        assert "Traceback" not in worker.output()
    finally:
        await asyncio.to_thread(worker.stop)
        await asyncio.to_thread(broker.stop)


@pytest.mark.e2e
async def test_other_partitions_end_the_worker(settings: Settings, tmp_path: Path) -> None:
    """Topics with another number of partitions than the setting: one line that says what to do, and exit code 1."""
    other = settings.model_copy(update={"partitions": 3})
    worker = waiting_worker(other, tmp_path / "worker.log", "set `partitions` to what is there")
    await asyncio.to_thread(worker.spawn)
    while worker.alive():
        await asyncio.sleep(0.1)
    assert worker.exit_code == 1
    assert "set `partitions` to what is there" in worker.output()
    assert "Traceback" not in worker.output()
