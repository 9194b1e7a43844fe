"""The ingest process: all feeds of the settings, one writer, the control topic."""

import asyncio
import logging
import signal
from collections.abc import Iterable

import aiohttp
import structlog

from ingest.control import Request, SnapshotRequest, consume_requests
from ingest.exchanges import CONNECTORS
from ingest.feed_manager import FeedManager
from ingest.own_clock import OwnClock
from ingest.raw_writer import RawWriter
from ingest.supervision import supervise
from schemas.settings import Settings

log = structlog.get_logger(__name__)


async def ingest(settings: Settings, feeds: Iterable[str] | None = None) -> None:
    """Run until cancelled; then the connections are marked as gone and everything buffered is handed over."""
    exchanges = [CONNECTORS[name](settings.channels, settings.depth) for name in feeds or settings.feeds]
    async with (
        aiohttp.ClientSession(trust_env=True) as session,
        RawWriter(settings, (exchange.feed for exchange in exchanges)) as writer,
        asyncio.TaskGroup() as tasks,
    ):
        clock = OwnClock(settings.clock_limit_ms)
        managers = [FeedManager(exchange, settings, writer, session, clock.compared) for exchange in exchanges]

        def on_request(request: Request) -> None:
            for manager in managers:
                if isinstance(request, SnapshotRequest):
                    manager.request_snapshot(request.key, request.caused_at)
                elif manager.name in request.feeds:
                    manager.reconnect()

        tasks.create_task(writer.failed())
        # Only what ends the writing ends everything.
        tasks.create_task(supervise("control", lambda: consume_requests(settings, on_request), log))
        for manager in managers:
            tasks.create_task(supervise("feed", manager.run, log.bind(feed=manager.name)))


async def run(settings: Settings, feeds: Iterable[str] | None = None) -> None:
    """`ingest` until SIGINT or SIGTERM."""
    # The delivery tells the broker's state itself, once; aiokafka would do so ten times a second.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    work = asyncio.ensure_future(ingest(settings, feeds))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        log.info("ended")
