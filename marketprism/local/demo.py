"""`marketprism demo` and `live`: the whole stack on this machine, watched until it is stopped."""

import asyncio
import contextlib
import logging
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from rich.console import Console
from rich.live import Live

from marketprism.captures.replay import ReplaySummary, replay
from marketprism.captures.replay_sources import Source
from marketprism.local.reading import Reading
from marketprism.local.stack import Stack, until
from marketprism.local.view import Picture, Rates, line, render, summary
from marketprism.ops.lag import Lag, Offsets
from marketprism.ops.raw_topic_stats import RawTopicStats
from marketprism.ops.table_stats import Store, TableStats
from schemas.errors import StackError
from schemas.logs import configure_logs
from schemas.settings import Settings

log = structlog.get_logger(__name__)

_DRAW_EACH = 0.5  # s, in a terminal
_LINE_EACH = 5.0  # s, without one
_DRAIN = 60.0  # s that what is under way may take to be stored at the end of a run


@dataclass(frozen=True)
class Run:
    """What to run. `simulate`: simulated exchanges instead of the real ones; `sources`: a replay instead of either."""

    title: str
    data: Path | None
    duration: float = 0.0
    simulate: bool = False
    sources: tuple[Source, ...] = ()
    speed: float | None = None
    seed: int = 1


async def run_stack(settings: Settings, run: Run, console: Console) -> None:
    """Start everything, watch, stop everything; the summary is the last that is printed."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    configure_logs(settings.model_copy(update={"log_level": "WARNING"}))  # the view says what happens
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # and what cannot be read, once and not ten times a second
    with contextlib.ExitStack() as kept:
        data = run.data or Path(kept.enter_context(tempfile.TemporaryDirectory(prefix="marketprism-")))
        async with Stack(settings, data) as stack:
            starting = asyncio.create_task(_start(stack, run, console))
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if starting.done():
                starting.result()
                text = await _Session(stack, run, console, stop).watch()
            else:
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
                text = "Stopped while starting."
        console.print(text, highlight=False, soft_wrap=True)
        if not run.data:
            console.print("  kept           nothing; --data DIR keeps all of it, to be asked by SQL", highlight=False)
        else:
            console.print(
                f'  ask it         marketprism sql --data {run.data} "SELECT …"', highlight=False, soft_wrap=True
            )


async def _start(stack: Stack, run: Run, console: Console) -> None:
    with console.status("Starting the broker, ClickHouse and the sink …") as status:
        await stack.start_storage()
        status.update("Starting the worker …")
        await stack.start_worker()
        if run.simulate:
            status.update("Starting the simulated exchanges …")
            await stack.start_simulators(run.seed, arbitrage_every=5.0)
        if not run.sources:
            status.update("Starting ingest …")
            await stack.start_ingest()


class _Session:
    """One run's watching: draws until told to stop, the duration is over, or the replay is stored."""

    def __init__(self, stack: Stack, run: Run, console: Console, stop: asyncio.Event) -> None:
        self._stack = stack
        self._run = run
        self._console = console
        self._stop = stop
        self._watch = RawTopicStats(stack.settings, stack.begin)
        self._rates = Rates()
        self._note = ""
        self._offsets: Reading[Offsets]
        self._stored: Reading[TableStats]

    async def watch(self) -> str:
        began = time.monotonic()
        async with Lag(self._stack.settings) as progress, Store(self._stack.settings) as store:
            self._offsets = Reading("Kafka", Offsets(), progress.offsets)
            self._stored = Reading("ClickHouse", TableStats(), store.read)
            tasks = [asyncio.create_task(work) for work in self._reading()]
            try:
                async with self._drawing():
                    await self._work()
                    if not self._stop.is_set():
                        await self._drain()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
            await self._offsets.once()
            await self._stored.once()
        return summary(self._picture(), time.monotonic() - began)

    def _reading(self) -> list[Coroutine[Any, Any, None]]:
        return [self._watch.run(), self._offsets.poll(), self._stored.poll()]

    async def _work(self) -> None:
        if self._run.sources:
            replaying = asyncio.create_task(
                replay(self._stack.settings, self._run.sources, self._run.speed, self._on_replay)
            )
            stopping = asyncio.create_task(self._stop.wait())
            await asyncio.wait([replaying, stopping], return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if replaying.done():
                replaying.result()
            replaying.cancel()
            return
        await until(self._stop, self._run.duration)
        if not self._stop.is_set():
            await self._stack.supervisor.retire("ingest")

    def _on_replay(self, done: ReplaySummary, read: int, size: int) -> None:
        self._note = f"replayed {read / size:.0%}  {done.frames:,} frames at {done.frames / done.seconds:,.0f}/s"

    async def _drain(self) -> None:
        """Wait until everything that came in is stored. Twice in a row nothing before anybody: what the one
        group published last, the other has taken."""
        self._note = "storing what is under way"
        quiet = 0
        last, moved = -1, time.monotonic()
        while quiet < 2 and not await until(self._stop, 0.5):
            read = await self._offsets.once()
            behind = self._offsets.value.total_lag
            quiet = quiet + 1 if read and behind == 0 else 0
            if read and behind != last:
                last, moved = behind, time.monotonic()
            if time.monotonic() - moved > _DRAIN:
                raise StackError(
                    f"{behind} records were not taken within {_DRAIN:.0f} s: {self._offsets.value.lag}; see the logs"
                )
        self._note = ""

    def _picture(self) -> Picture:
        rates = self._rates.update(dict(self._watch.frames))
        return Picture(
            self._run.title,
            self._stack.settings,
            self._watch,
            self._stack.supervisor.statuses,
            self._offsets,
            self._stored,
            rates,
            self._stack.disk,
            self._note,
        )

    @contextlib.asynccontextmanager
    async def _drawing(self) -> AsyncIterator[None]:
        with contextlib.ExitStack() as screen:
            if self._console.is_terminal:
                live = screen.enter_context(Live(console=self._console, auto_refresh=False, screen=True))
                task = asyncio.create_task(self._draw(live))
            else:
                task = asyncio.create_task(self._print_lines())
            try:
                yield
            finally:
                task.cancel()

    async def _draw(self, live: Live) -> None:
        await self._steadily(_DRAW_EACH, lambda: live.update(render(self._picture()), refresh=True))

    async def _print_lines(self) -> None:
        await asyncio.sleep(_LINE_EACH)
        await self._steadily(
            _LINE_EACH, lambda: self._console.print(line(self._picture()), highlight=False, soft_wrap=True)
        )

    async def _steadily(self, each: float, show: Callable[[], None]) -> None:
        while True:
            try:
                show()
            except Exception as error:  # noqa: BLE001 - a view that stands still would be taken for the system
                log.warning("the view cannot be shown", reason=repr(error))
            await asyncio.sleep(each)
