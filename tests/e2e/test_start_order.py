"""Processes started before the broker or the topics exist: they wait, log it, and then start at once."""

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
from marketprism.local.processes import Child, says
from marketprism.local.roles import WORKER
from marketprism.local.status import examine_system
from marketprism.ops.topics import create_topics
from schemas.feeds import FEEDS
from schemas.settings import Settings, load_settings
from tests.captures.test_replay import T0, collected, trade
from tests.e2e.pipeline import Pipeline

WAITS = "waiting: topics are missing"


@pytest.fixture
def bare(broker: Broker, tmp_path: Path) -> Settings:
    """Return settings whose topics do not exist."""
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


def waiting_worker(settings: Settings, log: Path, ready: str = WAITS) -> Child:
    environment = settings.environment() | {"PYTHONUNBUFFERED": "1"}
    return Child("worker", [sys.executable, *WORKER.arguments], log, says(ready), environment, timeout=30)


async def until_logged(child: Child, text: str, within: float = 30.0) -> float:
    began = time.monotonic()
    while text not in child.output():
        assert time.monotonic() - began < within, child.tail()
        await asyncio.sleep(0.1)
    return time.monotonic() - began


@pytest.mark.e2e
async def test_topics_made_after_the_start(pipeline: Pipeline, tmp_path: Path) -> None:
    """Two workers and the sink, then the topics, then a third worker: all soon get partitions, and rows are stored."""
    settings = pipeline.settings
    first = await pipeline.start("first", *WORKER.arguments, ready=WAITS)
    second = await pipeline.start("second", *WORKER.arguments, ready=WAITS)
    sink = await pipeline.start("sink", "-m", "sinks", ready="")
    assert f"{settings.topic_prefix}raw.okx" in first.output()
    assert "`marketprism topics --create`" in first.output()
    await create_topics(settings)
    assert await until_logged(first, "books recovered") < 12
    await until_logged(second, "books recovered")
    third = await pipeline.worker("third")
    await until_logged(sink, "partitions assigned")
    rows = [(T0 + n * 2_000_000, trade("BTCUSDT", n)) for n in range(200)]
    await replay(settings, [(FEEDS["binance-spot"], collected(tmp_path / "spot.gz", rows))])
    await pipeline.wait_until_stored()
    assert await pipeline.query("SELECT count() AS rows FROM trades") == [{"rows": 200}]
    for worker in (first, second, third):
        assert "partitions assigned" in worker.output()  # of an assigned partition
        assert "Ignoring missing topic" not in worker.output()
    workers = [finding for finding in await examine_system(settings) if finding.name == "workers"]
    assert len(workers) == 3
    assert all(worker.ok for worker in workers), workers


@pytest.mark.e2e
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_the_wait(bare: Settings, tmp_path: Path, number: signal.Signals) -> None:
    """A signal stops a waiting worker at once and cleanly."""
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
    """Without a broker the worker waits, without a traceback. Once the broker and the topics exist, it starts."""
    broker = Broker(tmp_path / "kafka", free_port())
    settings = load_settings(**bare.model_dump() | {"kafka": broker.bootstrap})
    worker = waiting_worker(settings, tmp_path / "worker.log", "broker unavailable")
    await asyncio.to_thread(worker.start)
    try:
        await asyncio.to_thread(broker.start)
        await create_topics(settings)
        await until_logged(worker, "books recovered")
        assert "Traceback" not in worker.output()
    finally:
        await asyncio.to_thread(worker.stop)
        await asyncio.to_thread(broker.stop)


@pytest.mark.e2e
async def test_wrong_number_of_partitions(settings: Settings, tmp_path: Path) -> None:
    """If the topics' number of partitions differs from the setting, one line says what to do; the exit code is 1."""
    other = settings.model_copy(update={"partitions": 3})
    worker = waiting_worker(other, tmp_path / "worker.log", "set `partitions` to what is there")
    await asyncio.to_thread(worker.spawn)
    while worker.alive():
        await asyncio.sleep(0.1)
    assert worker.exit_code == 1
    assert "set `partitions` to what is there" in worker.output()
    assert "Traceback" not in worker.output()
