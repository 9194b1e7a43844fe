"""A whole pipeline of real processes for a test: sink, workers, and what waits until all is stored."""

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
from marketprism.ops.lag import until_drained
from schemas.settings import Settings
from schemas.topics import WORKER_GROUP
from sinks.sql.client import run_query

_STALLED_AFTER = 90.0  # s


class Pipeline:
    """Starts processes under a supervisor that restarts what is killed."""

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

    async def stored(self) -> None:
        """Wait until no group has anything before it, three times in a row."""
        await until_drained(self.settings, stalled_after=_STALLED_AFTER)

    async def processed(self) -> None:
        """The same for the workers alone, where no sink runs."""
        await until_drained(self.settings, WORKER_GROUP, stalled_after=_STALLED_AFTER)

    async def ask(self, query: str) -> list[dict[str, Any]]:
        answer = await asyncio.to_thread(run_query, self.settings, query, "JSONEachRow")
        return [orjson.loads(row) for row in answer.splitlines()]


def kill(child: Child) -> None:
    """As a power cut would, the whole group; one that is just being restarted is waited for."""
    deadline = time.monotonic() + 20
    while not child.alive():
        assert time.monotonic() < deadline, f"{child.name} is not there to be killed"
        time.sleep(0.05)
    assert child.pid is not None
    os.killpg(child.pid, signal.SIGKILL)
