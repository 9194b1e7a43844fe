"""A pipeline of real processes for a test: ingest, workers and sink."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import orjson

from marketprism.local.processes import Child, Supervisor, says
from marketprism.local.roles import INGEST, SINK, WORKER
from marketprism.ops.lag import LagReader, until_drained
from schemas.feeds import EXCHANGES
from schemas.settings import Settings
from schemas.topics import WORKER_GROUP, raw_topic
from sinks.sql.client import run_query


class Pipeline:
    """Pipeline whose processes run under a supervisor that restarts those that are killed."""

    def __init__(self, settings: Settings, logs: Path) -> None:
        self.settings = settings
        self.supervisor = Supervisor()
        self._logs = logs

    async def __aenter__(self) -> "Pipeline":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.supervisor.stop()

    async def start(self, name: str, *arguments: str, ready: str) -> Child:
        environment = self.settings.environment() | {"PYTHONUNBUFFERED": "1"}
        child = Child(name, [sys.executable, *arguments], self._logs / f"{name}.log", says(ready), environment)
        await self.supervisor.start(child)
        return child

    async def sink(self) -> Child:
        return await self.start(SINK.name, *SINK.arguments, ready=SINK.ready)

    async def worker(self, name: str = WORKER.name) -> Child:
        return await self.start(name, *WORKER.arguments, ready=WORKER.ready)

    async def ingest(self) -> Child:
        return await self.start(INGEST.name, *INGEST.arguments, ready=INGEST.ready)

    async def wait_until_stored(self) -> None:
        """Wait until no consumer group lags."""
        await until_drained(self.settings)

    async def wait_until_processed(self) -> None:
        """Wait until the workers do not lag; for tests without a sink."""
        await until_drained(self.settings, WORKER_GROUP)

    async def wait_until_passed(self) -> None:
        """Wait until the workers have processed everything that is in the raw topics now. More may come meanwhile."""
        async with LagReader(self.settings) as reader:
            for exchange in EXCHANGES:
                await reader.until_passed(WORKER_GROUP, raw_topic(exchange), stalled_after=60)

    async def query(self, sql: str) -> list[dict[str, Any]]:
        """Return the rows of a query to ClickHouse."""
        answer = await asyncio.to_thread(run_query, self.settings, sql, "JSONEachRow")
        return [orjson.loads(row) for row in answer.splitlines()]


def kill(child: Child) -> None:
    """Kill a child with its process group, as a power cut would. If it is being restarted, wait for it first."""
    deadline = time.monotonic() + 20
    while not child.alive():
        assert time.monotonic() < deadline, f"{child.name} is not running"
        time.sleep(0.05)
    assert child.pid is not None
    os.killpg(child.pid, signal.SIGKILL)
