"""Run the whole system on one machine under one supervisor: broker, topics, sink, worker, ingest.

If the settings name a broker or a ClickHouse, it is used instead of starting one.
"""

import asyncio
import json
import time
from contextlib import ExitStack
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from marketprism.local.broker import Broker, PortTakenError, free_port
from marketprism.local.data_lock import DataLock
from marketprism.local.disk import DiskMonitor
from marketprism.local.processes import STOP_WITHIN, Child, Supervisor
from marketprism.local.roles import DASHBOARD, INGEST, JOBS, SIMULATOR, SINK, WORKER, Role
from marketprism.local.stack_state import Process, announced, describe
from marketprism.local.steps import Watch, unwatched
from marketprism.ops.topics import create_topics, topic_ends
from schemas.errors import StackError
from schemas.settings import Settings
from schemas.topics import TOPICS

log = structlog.get_logger(__name__)

_DESCRIBE_EVERY = 1.0  # s
_TOPICS_WITHIN = 55.0  # s; Kafka's client allows 40 for a request, and the topics have 15 to be ready


class Stack:
    """All processes of the system. Their files are in `kafka/`, `clickhouse/` and `logs/` of the directory `data`.

    Start the parts in order. Leaving the context stops all of them. Entering locks the directory, and raises
    `StackError` if it is in use. `title` says what runs, for others that find the stack (`stack_state.py`).
    `stop_within`: seconds that stopping may take.
    """

    def __init__(self, settings: Settings, data: Path, title: str = "stack", watch: Watch = unwatched) -> None:
        self.data = data.absolute()
        self.title = title
        self.settings = settings
        if "api_address" not in settings.model_fields_set:
            self._set(api_address=f"127.0.0.1:{free_port(8080)}")
        self.supervisor = Supervisor(watch)
        self._watch = watch
        self.stop_within = STOP_WITHIN
        self.start_offsets: dict[str, list[int]] = {}  # by topic, unless it is new: where the records of this run begin
        self.disk = DiskMonitor(self.data, settings.disk_low_mb, self.supervisor.statuses)
        self._lock = DataLock(data)
        self._announced = ExitStack()
        self._state = describe(title, self.settings)
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._lock.__enter__()
        self._announced.enter_context(announced(self.data))
        self._tasks.append(asyncio.create_task(self.disk.run(), name="disk"))
        self._tasks.append(asyncio.create_task(self._keep_described(), name="state"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        try:
            await self.supervisor.stop(self.stop_within)
        finally:
            self._state.stopped_at = time.time()
            self._describe()
            self._announced.close()
            self._lock.__exit__()

    async def start_storage(self) -> None:
        """Start the broker, create the topics, and start the sink with ClickHouse."""
        configured = self.settings.model_fields_set
        if "kafka" not in configured:
            try:
                await self._start_broker()
            except PortTakenError:  # since it was chosen
                await self._start_broker()
        if "clickhouse" not in configured:
            self._set(clickhouse=f"chdb://{self.data / 'clickhouse'}")
        if "sql_address" not in configured:
            self._set(sql_address=f"127.0.0.1:{free_port(8123)}")
        with self._watch("create", "topics", _TOPICS_WITHIN):
            if len(await create_topics(self.settings)) < len(TOPICS):  # else all are empty
                self.start_offsets = await topic_ends(self.settings)
        await self._start(SINK)

    async def start_dashboard(self) -> None:
        """Start the live page with the API."""
        await self._start(DASHBOARD)

    async def start_worker(self) -> None:
        """Start one Faust worker."""
        await self._start(WORKER)

    async def start_ingest(self) -> None:
        """Start ingest. It is ready once it has connected to an exchange, however long that takes."""
        await self._start(INGEST, within=inf)

    async def start_jobs(self) -> None:
        """Start the scheduled jobs, for which nobody needs to wait."""
        await self._start(JOBS, within=inf)

    async def start_simulators(self, seed: int, arbitrage_every: float) -> None:
        """Start simulated exchanges with an arbitrage opportunity every `arbitrage_every` s.

        The endpoints in the settings become theirs, which are reached directly.
        """
        feeds = [part for feed in self.settings.feeds for part in ("--feed", feed)]
        child = await self._start(SIMULATOR, "--seed", str(seed), "--arbitrage-every", str(arbitrage_every), *feeds)
        found = [line for line in child.output().splitlines() if line.startswith("{") and SIMULATOR.ready in line]
        if not found:
            raise StackError(f"the simulator reported no endpoints: see its log {child.log}")
        self._set(endpoints=json.loads(found[-1])["endpoints"], proxies={})

    async def _start_broker(self) -> None:
        broker = Broker(self.data / "kafka")
        self._set(kafka=broker.bootstrap)
        await self.supervisor.start(broker)

    async def _start(self, role: Role, *options: str, within: float | None = None) -> Child:
        """Start a process, and wait until it is ready, `within` s instead of the usual time."""
        # Whether a process is ready is read from its log at INFO.
        level = "DEBUG" if self.settings.log_level == "DEBUG" else "INFO"
        settings = self.settings.model_copy(update={"log_level": level})
        environment = settings.environment() | {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
        child = role.child(self.data / "logs" / f"{role.name}.log", environment, *options)
        child.timeout = within or child.timeout
        log.info("starting", process=role.name)
        await self.supervisor.start(child)
        return child

    async def _keep_described(self) -> None:
        while True:
            self._describe()
            await asyncio.sleep(_DESCRIBE_EVERY)

    def _describe(self) -> None:
        self._state.settings = self.settings.model_dump(mode="json", exclude_unset=True)
        self._state.processes = [
            Process(status.name, status.state, status.child.pid or 0, status.restarts)
            for status in self.supervisor.statuses
        ]
        self._state.write(self.data)

    def _set(self, **values: object) -> None:
        """Change settings. Settings that were not set stay unset."""
        self.settings = Settings(**{**self.settings.model_dump(exclude_unset=True), **values})
