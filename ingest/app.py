"""The ingest process: all feeds of the settings, one writer, the control topic."""

import asyncio
import logging
import signal
from collections.abc import Iterable

import aiohttp
import structlog

from ingest.control import obey
from ingest.exchanges import EXCHANGE_FEEDS
from ingest.feed import FeedManager
from ingest.raw_writer import RawWriter
from schemas.settings import Settings

log = structlog.get_logger(__name__)


async def ingest(settings: Settings, feeds: Iterable[str] | None = None) -> None:
    """Run until cancelled; then the connections are marked as gone and everything buffered is handed over."""
    exchanges = [EXCHANGE_FEEDS[name] for name in feeds or settings.feeds]
    async with (
        aiohttp.ClientSession(trust_env=True) as session,
        RawWriter(settings, (exchange.feed.exchange for exchange in exchanges)) as writer,
        asyncio.TaskGroup() as tasks,
    ):
        managers = [FeedManager(exchange, settings, writer, session) for exchange in exchanges]

        def request_snapshot(key: str, caused_at: int) -> None:
            for manager in managers:
                manager.request_snapshot(key, caused_at)

        tasks.create_task(writer.failed())
        tasks.create_task(obey(settings, request_snapshot))
        for manager in managers:
            tasks.create_task(manager.run())


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
