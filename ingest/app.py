"""The ingest process: all configured feeds, one raw writer, and the control topic."""

import asyncio
import signal
from collections.abc import Iterable, Sequence
from functools import partial

import structlog

from ingest.connection_reports import write_reports
from ingest.control import consume_requests
from ingest.exchanges import carried_by_none, connectors_of, of_no_feed
from ingest.feed_manager import FeedManager
from ingest.own_clock import OwnClock
from ingest.raw_writer import RawWriter
from ingest.rest import RestPool
from ingest.supervision import supervise
from ingest.timings import DEFAULT_TIMINGS, Timings
from schemas.control import MoveRequest, ReconnectRequest, RefreshRequest, Request, SnapshotRequest
from schemas.errors import SettingsError
from schemas.keys import key_of
from schemas.settings import Settings
from schemas.symbols import is_pattern

log = structlog.get_logger(__name__)


async def ingest(settings: Settings, feeds: Iterable[str] | None = None, timings: Timings = DEFAULT_TIMINGS) -> None:
    """Ingest the given feeds, or all of the settings', until cancelled.

    On cancellation the connections are marked as stopped and everything buffered is sent.
    """
    connectors = connectors_of(settings, feeds or ())
    if missing := carried_by_none(connectors, settings):
        log.warning("no feed has these channels: continuing without them", channels=missing)
    if missing := of_no_feed(connectors, settings):
        log.warning("no feed has symbols of this kind: continuing without them", symbols=missing)
    async with (
        RestPool(settings.rest_connections) as pool,
        RawWriter(settings, (connector.feed for connector in connectors)) as writer,
        asyncio.TaskGroup() as tasks,
    ):
        clock = OwnClock(settings.clock_limit_ms)
        managers = [
            FeedManager(connector, settings, timings, writer, pool, clock.on_offset) for connector in connectors
        ]

        def on_request(request: Request) -> None:
            for manager in managers:
                _pass_on(request, manager)

        tasks.create_task(_require_instruments(managers, settings))
        tasks.create_task(supervise("control", lambda: consume_requests(settings, on_request), log))
        reporting = partial(write_reports, settings, managers, timings.report_interval_s)
        tasks.create_task(supervise("connection reports", reporting, log))
        for manager in managers:
            tasks.create_task(supervise("feed", manager.run, log.bind(feed=manager.name)))
        # The writer is not supervised: without it nothing can be ingested, so its failure ends the process.
        await writer.wait_for_failure()


def _pass_on(request: Request, manager: FeedManager) -> None:
    match request:
        case SnapshotRequest():
            manager.request_snapshot(key_of(request.exchange, request.symbol), request.timestamp)
        case MoveRequest() if request.feed == manager.name:
            manager.move(request)
        case ReconnectRequest() if manager.name in request.feeds:
            manager.reconnect()
        case RefreshRequest() if manager.name in request.feeds:
            manager.refresh()


async def _require_instruments(managers: Sequence[FeedManager], settings: Settings) -> None:
    """Name the symbols that no exchange lists, once all have answered. Raise `SettingsError` if nothing is listed."""
    found = frozenset[str]().union(*[await manager.first_symbols() for manager in managers])
    if not found:
        names, symbols = ", ".join(manager.name for manager in managers), ", ".join(settings.symbols)
        raise SettingsError(f"nothing to ingest: no exchange (feeds {names}) lists any of: {symbols}")
    if missing := [symbol for symbol in settings.symbols if not is_pattern(symbol) and symbol not in found]:
        log.warning("no exchange lists these symbols: continuing without them", symbols=missing)


async def run(settings: Settings, feeds: Iterable[str] | None = None) -> None:
    """Run `ingest` until SIGINT or SIGTERM."""
    work = asyncio.ensure_future(ingest(settings, feeds))

    def stop() -> None:
        log.info("stopping")
        work.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        await work
    except asyncio.CancelledError:
        log.info("stopped")
