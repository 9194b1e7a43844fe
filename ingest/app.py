"""The ingest process: the feeds of the settings, one raw writer an exchange, and the requests of `control.ingest`."""

import asyncio
import time

import orjson
import stamina
import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from ingest.feed import IngestFeed
from ingest.raw_writer import RawWriter, raw_producer
from schemas.feeds import FEEDS
from schemas.settings import Settings
from schemas.topics import CONTROL

log = structlog.get_logger(__name__)

_OLDEST_REQUEST = 10_000_000  # µs; a replay's requests speak of times long gone
_AGAIN_AFTER = 2.0  # seconds within which the same request is the same wish


async def run_ingest(settings: Settings) -> None:
    """Run until cancelled; then write what is held and wait for the broker."""
    producer = raw_producer(settings)
    async for attempt in stamina.retry_context(on=(KafkaError, OSError), attempts=None, timeout=None, wait_max=5):
        with attempt:
            await producer.start()
    exchanges = dict.fromkeys(FEEDS[name].exchange for name in settings.feeds)
    writers = {exchange: RawWriter(exchange, settings, producer) for exchange in exchanges}
    feeds = [IngestFeed(name, settings, writers[FEEDS[name].exchange]) for name in settings.feeds]
    try:
        async with asyncio.TaskGroup() as group:
            for writer in writers.values():
                group.create_task(writer.run())
            for feed in feeds:
                group.create_task(feed.run())
            group.create_task(_obey(settings, feeds))
    finally:
        for writer in writers.values():
            await writer.close()
        await producer.stop()
        log.info("stopped", frames={name: writer.frames for name, writer in writers.items()})


async def _obey(settings: Settings, feeds: list[IngestFeed]) -> None:
    """Fetch the snapshots that `control.ingest` asks for. No group: every ingest process hears every request."""
    started = time.time_ns() // 1000
    asked: dict[str, float] = {}
    async with AIOKafkaConsumer(settings.topic(CONTROL), bootstrap_servers=settings.kafka) as consumer:
        async for record in consumer:
            request = orjson.loads(record.value)
            key, stamp = record.key.decode(), int(request["timestamp"])
            now = time.time_ns() // 1000
            if stamp < started - _OLDEST_REQUEST or stamp < now - _OLDEST_REQUEST:
                continue
            if time.monotonic() - asked.get(key, float("-inf")) < _AGAIN_AFTER:
                continue
            asked[key] = time.monotonic()
            log.info("snapshot requested", symbol=key, channel="books", reason=request.get("reason"))
            for feed in feeds:
                await feed.request_snapshot(key)
