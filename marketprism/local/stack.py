"""The whole system on one machine: broker, topics, sink, worker, ingest, under one supervisor.

A broker or a ClickHouse that the settings name is used instead of one of our own.
"""

import asyncio
import json
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from marketprism.local.broker import Broker, free_port
from marketprism.local.data_lock import DataLock
from marketprism.local.disk import DiskWatch
from marketprism.local.processes import Child, Supervisor, says
from marketprism.ops.topics import create_topics, topic_ends
from schemas.errors import StackError
from schemas.settings import Settings

log = structlog.get_logger(__name__)


class Stack:
    """Processes in `data`: `kafka/`, `clickhouse/`, `logs/`. Start the parts in order; leaving stops all.

    The directory is locked meanwhile: `StackError` names who holds it.
    """

    def __init__(self, settings: Settings, data: Path) -> None:
        self.data = data.absolute()
        self.settings = settings
        self.supervisor = Supervisor()
        self.begin: dict[str, list[int]] = {}  # the offsets from which this run's records stand, by topic
        self.disk = DiskWatch(self.data, settings.disk_low_mb, self.supervisor.statuses)
        self._lock = DataLock(data)
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._lock.__enter__()
        self._tasks.append(asyncio.create_task(self.disk.run(), name="disk"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        try:
            await self.supervisor.stop()
        finally:
            self._lock.__exit__()

    async def start_storage(self) -> None:
        """Broker, topics, sink with ClickHouse."""
        named = self.settings.model_fields_set
        if "kafka" not in named:
            broker = Broker(self.data / "kafka")
            self._set(kafka=broker.bootstrap)
            await self.supervisor.start(broker)
        if "clickhouse" not in named:
            self._set(clickhouse=f"chdb://{self.data / 'clickhouse'}")
        if "sql_address" not in named:
            self._set(sql_address=f"127.0.0.1:{free_port(8123)}")
        await create_topics(self.settings)
        self.begin = await topic_ends(self.settings)
        await self._start("sink", "-m", "sinks", ready="partitions assigned")

    async def start_worker(self) -> None:
        await self._start("worker", "-m", "faust", "-A", "streams.app", "worker", "-l", "info", ready="Worker ready")

    async def start_ingest(self) -> None:
        await self._start("ingest", "-m", "ingest", ready="connected")

    async def start_simulators(self, seed: int, arbitrage_every: float) -> None:
        """Simulated exchanges; the settings' endpoints become theirs."""
        options = ["--seed", str(seed), "--arbitrage-every", str(arbitrage_every)]
        feeds = [part for feed in self.settings.feeds for part in ("--feed", feed)]
        child = await self._start("simulator", "-m", "marketprism.simulator", *options, *feeds, ready='"ws"')
        found = [line for line in child.output().splitlines() if line.startswith("{") and '"ws"' in line]
        if not found:
            raise StackError(f"the simulator tells no endpoints; its log is {child.log}")
        self._set(endpoints=json.loads(found[-1])["endpoints"])

    async def _start(self, name: str, *arguments: str, ready: str) -> Child:
        command = [sys.executable, *arguments]
        # That a process is ready is read from what it logs at INFO.
        level = "DEBUG" if self.settings.log_level == "DEBUG" else "INFO"
        settings = self.settings.model_copy(update={"log_level": level})
        environment = settings.environment() | {"PYTHONUNBUFFERED": "1"}
        child = Child(name, command, self.data / "logs" / f"{name}.log", says(ready), environment)
        log.info("starting", process=name)
        await self.supervisor.start(child)
        return child

    def _set(self, **values: object) -> None:
        self.settings = Settings(**{**self.settings.model_dump(exclude_unset=True), **values})


async def until(stop: asyncio.Event, seconds: float) -> bool:
    """Wait; True when `stop` came first."""
    try:
        await asyncio.wait_for(stop.wait(), seconds or None)
    except TimeoutError:
        return False
    return True
