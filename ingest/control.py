"""Consume the topic `control.ingest`: requests from the workers and from the operator."""

import asyncio
import time
from collections.abc import Callable

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.control import Request, SnapshotRequest, decode_request
from schemas.errors import ControlError
from schemas.logs import error_text, suspect_broker
from schemas.settings import Settings
from schemas.topics import CONTROL

log = structlog.get_logger(__name__)

MAX_AGE = 10_000_000  # µs: older requests come from a replay or a lagging worker, which repeats what is still needed
_MAX_AHEAD = 86_400_000_000  # µs: our clock may have been set back, but not by more
_RETRY = 2.0  # s


async def consume_requests(settings: Settings, on_request: Callable[[Request], None]) -> None:
    """Pass every recent request to `on_request` until cancelled, also those that came before the consumer was ready.

    The consumer is restarted after an error.
    """
    started, place = time.time_ns() // 1000, TopicPartition(settings.topic(CONTROL), 0)
    position = None
    while True:
        consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka, auto_offset_reset="latest")
        try:
            await consumer.start()
            consumer.assign([place])
            if position is None:
                found = await consumer.offsets_for_times({place: (started - MAX_AGE) // 1000})
                position = found[place] and found[place].offset
            if position is not None:  # else nothing has come since
                consumer.seek(place, position)
            async for record in consumer:
                position = record.offset + 1
                if request := parse_request(record.value, started, time.time_ns() // 1000):
                    _log(request)
                    _pass_on(request, on_request)
        except (KafkaError, OSError) as error:
            suspect_broker(error_text(error))
        finally:
            await consumer.stop()
        await asyncio.sleep(_RETRY)


def _log(request: Request) -> None:
    """Log a request: the operator's at INFO. The workers may have many, after an outage for each instrument."""
    report = log.debug if isinstance(request, SnapshotRequest) else log.info
    report("request received", **msgspec.to_builtins(request))


def _pass_on(request: Request, on_request: Callable[[Request], None]) -> None:
    try:
        on_request(request)
    except Exception:
        log.exception("internal error on a request", request=type(request).__name__)


def parse_request(value: bytes | None, started: int, now: int) -> Request | None:
    """Parse a record of the topic. Times are µs since the epoch.

    Return None for an invalid request, one that is too old, and one from before `started`.
    """
    try:
        request = decode_request(value or b"")
    except ControlError as error:
        log.warning("invalid request in control.ingest", error=str(error), value=(value or b"")[:200])
        return None
    return request if max(started, now - MAX_AGE) <= request.timestamp < now + _MAX_AHEAD else None
