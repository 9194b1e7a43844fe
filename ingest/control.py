"""The topic `control.ingest`: what the streams, and the operator, ask of ingest."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson
import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from schemas.settings import Settings
from schemas.topics import CONTROL

log = structlog.get_logger(__name__)

MAX_AGE = 10_000_000  # µs: older ones are of a replay, or come from streams that lag; those that still matter ask again
_FUTURE = 86_400_000_000  # µs: our clock may have been set back, but not by more
_RETRY = 2.0  # s


class SnapshotRequest(NamedTuple):
    """Fetch the book of `exchange:symbol` anew, for what happened at `caused_at` (µs since the epoch)."""

    key: str
    caused_at: int


class ReconnectRequest(NamedTuple):
    """Move the connections of these feeds to new sockets."""

    feeds: tuple[str, ...]


Request = SnapshotRequest | ReconnectRequest


async def consume_requests(settings: Settings, on_request: Callable[[Request], None]) -> None:
    """Pass each recent request on. Never returns by itself."""
    started = time.time_ns() // 1000
    while True:
        consumer = AIOKafkaConsumer(
            settings.topic(CONTROL), bootstrap_servers=settings.kafka, auto_offset_reset="latest"
        )
        try:
            await consumer.start()
            async for record in consumer:
                if request := parse_request(record.value, started, time.time_ns() // 1000):
                    log.info("asked for", request=type(request).__name__, **request._asdict())
                    _pass_on(request, on_request)
        except (KafkaError, OSError) as error:
            log.warning("control.ingest cannot be read: trying again", kafka=settings.kafka, error=str(error))
        finally:
            await consumer.stop()
        await asyncio.sleep(_RETRY)


def _pass_on(request: Request, on_request: Callable[[Request], None]) -> None:
    try:
        on_request(request)
    except Exception:
        log.exception("a request could not be obeyed", request=type(request).__name__)


def parse_request(value: bytes | None, started: int, now: int) -> Request | None:
    """The request, if it is recent and younger than `started`; times in µs since the epoch."""
    try:
        body: Any = orjson.loads(value or b"")
        request, caused_at = _parsed(body), int(body["timestamp"])
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        log.warning("a record of control.ingest is no request", error=repr(error), value=repr(value)[:200])
        return None
    return request if max(started, now - MAX_AGE) <= caused_at < now + _FUTURE else None


def _parsed(body: Any) -> Request:
    if body["request"] == "snapshot":
        return SnapshotRequest(f"{body['exchange']}:{body['symbol']}", int(body["timestamp"]))
    if body["request"] == "reconnect":
        return ReconnectRequest(tuple(map(str, body["feeds"])))
    raise ValueError(f"unknown request {body['request']!r}")
