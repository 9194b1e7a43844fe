"""Run the whole stack on this machine and show it until it is stopped (`marketprism demo` and `live`)."""

import asyncio
import contextlib
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from rich.console import Console
from rich.live import Live

from ingest.exchanges import connectors_of
from marketprism.api.guard import check_exposure
from marketprism.captures.replay import ReplaySummary, replay
from marketprism.captures.replay_sources import ReplaySource
from marketprism.local.keyboard import keyboard
from marketprism.local.polled_value import PolledValue
from marketprism.local.reach_watch import ReachWatch
from marketprism.local.stack import Stack
from marketprism.local.steps import shown_on
from marketprism.local.summary import summary
from marketprism.local.view import Controls, Rates, View, ViewState, status_line
from marketprism.ops.lag import Lag, LagReader, until_drained
from marketprism.ops.latest_quotes import LatestQuotes
from marketprism.ops.raw_topic_stats import RawTopicStats
from marketprism.ops.table_stats import TableStats, TableStatsReader
from schemas.events import DEFAULT_KINDS, KINDS
from schemas.logs import configure_logs
from schemas.settings import Settings

log = structlog.get_logger(__name__)

_DRAW_EVERY = 0.5  # s, in a terminal
_PRINT_EVERY = 5.0  # s, without a terminal
_INGEST_STOPS_WITHIN = 2.0  # s
_FIGURES_WITHIN = 1.0  # s
_NEWS_FOR = 15.0  # s


# What the demo shows besides the defaults: each kind, and options.
_SHOWN: dict[str, tuple[str, ...]] = {
    "channels": ("candles_1m", *(kind for kind in KINDS if kind not in (*DEFAULT_KINDS, "candles"))),
    "symbols": (*Settings.model_fields["symbols"].default, "BTC-USD-*-*-C", "BTC-USD-*-*-P"),
}


def showing_all(settings: Settings) -> Settings:
    """Return settings that ingest every kind, unless the user has chosen what to ingest."""
    if settings.model_fields_set & {"kinds", "channels", "symbols"}:
        return settings
    return settings.model_copy(update=_SHOWN)


@dataclass(frozen=True)
class RunOptions:
    """What to run, for `duration` s (0: until stopped).

    `simulate`: use simulated exchanges instead of the real ones. `sources`: replay these captures instead of both.
    """

    title: str
    data: Path | None
    duration: float = 0.0
    simulate: bool = False
    sources: tuple[ReplaySource, ...] = ()
    speed: float | None = None
    seed: int = 1


async def run_stack(settings: Settings, run: RunOptions, console: Console) -> None:
    """Start everything, show the live view, stop everything, and finally print the summary.

    Raise `SettingsError` at once if there is nothing to ingest, or if the page would be open to other machines.
    """
    if not run.sources:
        connectors_of(settings)
    check_exposure(settings)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    _configure_logs(settings)
    with contextlib.ExitStack() as temporary:
        data = run.data or Path(temporary.enter_context(tempfile.TemporaryDirectory(prefix="marketprism-")))
        async with Stack(settings, data, run.title, shown_on(console)) as stack:
            plainly = partial(console.print, highlight=False, markup=False, emoji=False)
            say = partial(plainly, soft_wrap=not console.is_terminal)
            say(_introduction(stack))
            async with _watching(stack.settings, run, say) as reach:
                if await _started(stack, run, stop):
                    text = await _Session(stack, run, console, stop, reach).run()
                else:
                    text = "Stopped while starting: nothing was ingested."
        plainly(text, soft_wrap=True)  # it is wrapped, except for a command to be copied


def _introduction(stack: Stack) -> str:
    feeds = ", ".join(stack.settings.feeds)
    return (
        f"MarketPrism {stack.title}: {feeds}. Ctrl-C stops it.\n"
        f"Live page, once everything has started: http://{stack.settings.api_address}/"
    )


@contextlib.asynccontextmanager
async def _watching(settings: Settings, run: RunOptions, say: Callable[[str], None]) -> AsyncIterator[ReachWatch]:
    """Watch whether the exchanges can be reached, if they are the real ones."""
    reach = ReachWatch(settings, say)
    task = None if run.simulate or run.sources else asyncio.create_task(reach.run(), name="reach")
    try:
        yield reach
    finally:
        if task is not None:
            task.cancel()
            await asyncio.wait([task])


def _configure_logs(settings: Settings) -> None:
    configure_logs(settings.model_copy(update={"log_level": "WARNING"}))  # the view shows the rest


async def _started(stack: Stack, run: RunOptions, stop: asyncio.Event) -> bool:
    """Start all that ingest needs. Return False if `stop` was set meanwhile."""
    starting = asyncio.create_task(_start(stack, run))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if starting.done():
        starting.result()
        return True
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    return False


async def _start(stack: Stack, run: RunOptions) -> None:
    await stack.start_storage()
    _configure_logs(stack.settings)  # they name the broker now
    await stack.start_dashboard()
    await stack.start_worker()
    if run.simulate:
        await stack.start_simulators(run.seed, arbitrage_every=5.0)


class _Session:
    """One run with its live view, until `stop` is set, the duration is over, or the replay is stored."""

    def __init__(self, stack: Stack, run: RunOptions, console: Console, stop: asyncio.Event, reach: ReachWatch) -> None:
        self._stack = stack
        self._run = run
        self._console = console
        self._stop = stop
        self._reach = reach
        self._raw_stats = RawTopicStats(stack.settings, stack.start_offsets)
        self._quotes = LatestQuotes(stack.settings, stack.start_offsets)
        self._rates = Rates()
        self._controls = Controls(stop.set)
        self._pressed = asyncio.Event()
        self._note = ""
        self._news, self._news_until = "", 0.0
        reach.delivering = self._delivering
        if console.is_terminal:
            reach.say = self._show_news
        self._began = time.monotonic()
        self._lag: PolledValue[Lag]
        self._table_stats: PolledValue[TableStats]

    async def run(self) -> str:
        """Run, and return the summary."""
        async with LagReader(self._stack.settings) as lag, TableStatsReader(self._stack.settings) as table_stats:
            self._lag = PolledValue("Kafka", Lag(), lag.read)
            self._table_stats = PolledValue("ClickHouse", TableStats(), table_stats.read)
            tasks = [asyncio.create_task(work) for work in self._polling()]
            try:
                async with self._drawing():
                    await self._work()
                    if not self._stop.is_set():
                        self._note = "storing the remaining events"
                        await self._unless_stopped(until_drained(self._stack.settings))
                        self._note = ""
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
            seconds = time.monotonic() - self._began
            await self._read_last_figures()
        return summary(self._state(), seconds, str(self._run.data or ""), self._console.width)

    async def _read_last_figures(self) -> None:
        """Read what is stored and what remains, once ingest has stopped. Under overload, older figures must do."""
        stopping_at = time.monotonic()
        with shown_on(self._console)("stop", "ingest", _INGEST_STOPS_WITHIN):
            await self._stack.supervisor.retire("ingest", _INGEST_STOPS_WITHIN)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FIGURES_WITHIN):
                await asyncio.gather(self._lag.refresh(), self._table_stats.refresh())
        self._stack.stop_within -= time.monotonic() - stopping_at

    def _polling(self) -> list[Coroutine[Any, Any, None]]:
        return [self._raw_stats.run(), self._quotes.run(), self._lag.poll(), self._table_stats.poll()]

    async def _work(self) -> None:
        if self._run.sources:
            await self._unless_stopped(
                replay(self._stack.settings, self._run.sources, self._run.speed, self._on_replay_progress)
            )
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._run.duration or None):
                await self._unless_stopped(self._start_ingest())
                await self._stop.wait()
        if not self._stop.is_set():
            await self._stack.supervisor.retire("ingest")

    async def _start_ingest(self) -> None:
        """Start ingest, and unless the data is a demo's, which is not kept, the jobs."""
        jobs = [] if self._run.simulate else [self._stack.start_jobs()]
        await asyncio.gather(self._stack.start_ingest(), *jobs)

    async def _unless_stopped(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run until the work is done, or cancel it when `stop` is set."""
        working, stopping = asyncio.create_task(work), asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
        finally:
            stopping.cancel()
            working.cancel()

    def _delivering(self) -> set[str]:
        return {feed for feed, number in self._raw_stats.read().subscriptions.items() if number}

    def _show_news(self, text: str) -> None:
        """Show a text in the view for a while."""
        self._news, self._news_until = text, time.monotonic() + _NEWS_FOR

    def _on_replay_progress(self, done: ReplaySummary, read: int, size: int) -> None:
        self._note = f"replayed {read / size:.0%}  {done.frames:,} frames at {done.frames / done.seconds:,.0f}/s"

    def _state(self) -> ViewState:
        raw_stats = self._raw_stats.read()
        return ViewState(
            self._run.title,
            self._stack.settings,
            raw_stats.newest if self._run.sources else time.time_ns() // 1000,
            raw_stats,
            [replace(status) for status in self._stack.supervisor.statuses],
            self._lag.reading(),
            self._table_stats.reading(),
            self._quotes.read(),
            self._rates.update(raw_stats.frames),
            self._stack.disk,
            self._note or (self._news if time.monotonic() < self._news_until else ""),
            time.monotonic() - self._began,
            self._reach.problems,
        )

    @contextlib.asynccontextmanager
    async def _drawing(self) -> AsyncIterator[None]:
        with contextlib.ExitStack() as screen:
            if self._console.is_terminal:
                live = screen.enter_context(Live(console=self._console, auto_refresh=False, screen=True))
                screen.enter_context(keyboard(self._press))
                task = asyncio.create_task(self._draw(live))
            else:
                task = asyncio.create_task(self._print_lines())
            try:
                yield
            finally:
                task.cancel()

    def _press(self, key: str) -> None:
        self._controls.press(key)
        self._pressed.set()

    async def _draw(self, live: Live) -> None:
        shown = self._state()

        def draw() -> None:
            nonlocal shown
            shown = shown if self._controls.paused else self._state()
            live.update(View(shown, self._controls), refresh=True)

        await self._show_every(_DRAW_EVERY, draw)

    async def _print_lines(self) -> None:
        await asyncio.sleep(_PRINT_EVERY)
        await self._show_every(
            _PRINT_EVERY, lambda: self._console.print(status_line(self._state()), highlight=False, soft_wrap=True)
        )

    async def _show_every(self, seconds: float, show: Callable[[], None]) -> None:
        """Show every some seconds, and at once when a key is pressed."""
        while True:
            self._pressed.clear()
            try:
                show()
            except Exception as error:  # noqa: BLE001 - a frozen view would look like a frozen system
                log.warning("cannot draw the view", reason=error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._pressed.wait(), seconds)
