"""The topic `control.ingest`: what the streams ask of ingest."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import orjson
import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from schemas.settings import Settings
from schemas.topics import CONTROL

log = structlog.get_logger(__name__)

MAX_AGE = 10_000_000  # µs: older ones are of a replay, or come from streams that lag; those that still matter ask again
_RETRY = 2.0  # s


async def obey(settings: Settings, request_snapshot: Callable[[str, int], None]) -> None:
    """Pass each recent snapshot request on as `(exchange:symbol, µs of its cause)`. Never returns by itself."""
    started = time.time_ns() // 1000
    while True:
        consumer = AIOKafkaConsumer(
            settings.topic(CONTROL), bootstrap_servers=settings.kafka, auto_offset_reset="latest"
        )
        try:
            await consumer.start()
            async for record in consumer:
                if request := understood(record.value, started, time.time_ns() // 1000):
                    log.info("snapshot asked for", key=request[0])
                    request_snapshot(*request)
        except (KafkaError, OSError) as error:
            log.warning("control.ingest cannot be read: trying again", kafka=settings.kafka, error=str(error))
        finally:
            await consumer.stop()
        await asyncio.sleep(_RETRY)


def understood(value: bytes | None, started: int, now: int) -> tuple[str, int] | None:
    """The key and cause time (µs) of a snapshot request that is recent and younger than `started`, else nothing."""
    try:
        body: Any = orjson.loads(value or b"")
        if body["request"] != "snapshot":
            raise ValueError(f"unknown request {body['request']!r}")
        key, caused_at = f"{body['exchange']}:{body['symbol']}", int(body["timestamp"])
    except (ValueError, KeyError, TypeError) as error:
        log.warning("a record of control.ingest is no request", error=repr(error), value=repr(value)[:200])
        return None
    return (key, caused_at) if max(started, now - MAX_AGE) <= caused_at else None
