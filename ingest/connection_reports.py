"""Report the feeds' hosts and connections to the topic `control.connections`, for the operator."""

import asyncio
import os
import socket
from collections.abc import Sequence
from contextlib import suppress

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from ingest.feed_manager import FeedManager
from ingest.producer import partition_counts, producer_of, stop_producer
from schemas.connections import encode_report
from schemas.logs import error_text, suspect_broker
from schemas.settings import Settings
from schemas.topics import CONNECTIONS

log = structlog.get_logger(__name__)

_RETRY = 2.0  # s
_STOP_TIMEOUT = 1.0  # s; raw frames may still have to be sent after it
_NAME = f"{socket.gethostname()}:{os.getpid()}"


async def write_reports(settings: Settings, managers: Sequence[FeedManager], interval_s: float) -> None:
    """Write a report of each feed every `interval_s` until cancelled. Then an empty record takes its place.

    Nothing is buffered while the broker is away, as the next reports say all.
    """
    topic, warned = settings.topic(CONNECTIONS), False
    while True:
        producer = producer_of(settings)
        try:
            await producer.start()
            if (await partition_counts(producer, [topic]))[topic]:
                await _write(producer, topic, managers, interval_s)
            elif not warned:
                warned = True
                log.warning("connections are not reported: run `marketprism topics --create`", missing=topic)
        except (KafkaError, OSError) as error:
            suspect_broker(error_text(error))
        finally:
            await stop_producer(producer, _STOP_TIMEOUT)
        await asyncio.sleep(_RETRY)


async def _write(producer: AIOKafkaProducer, topic: str, managers: Sequence[FeedManager], interval_s: float) -> None:
    keys = set[bytes]()
    try:
        while True:
            for manager in managers:
                report = manager.report(_NAME)
                keys.add(key := report.key.encode())
                await producer.send_and_wait(topic, encode_report(report), key, partition=0)
            await asyncio.sleep(interval_s)
    except asyncio.CancelledError:
        with suppress(TimeoutError, KafkaError):
            async with asyncio.timeout(_STOP_TIMEOUT):
                for key in keys:
                    await producer.send(topic, None, key, partition=0)
        raise
