"""Idempotent producer that never gives up: it sends records in order, however long the broker is unavailable."""

import asyncio
import time
from collections.abc import Iterable
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from ingest.raw_buffer import Record
from schemas.errors import StackError
from schemas.limits import MAX_BATCH, MAX_REQUEST
from schemas.logs import error_text, suspect_broker
from schemas.settings import Settings

log = structlog.get_logger(__name__)

_SUSPECT_AFTER = 2.0  # s without an acknowledgement
_RETRY = 0.5  # s between attempts to connect
_WARN_AGAIN = 30.0  # s between two log lines about the same problem
_STOP_TIMEOUT = 5.0  # s


def producer_of(settings: Settings) -> AIOKafkaProducer:
    """Return a producer for raw records, not started."""
    return AIOKafkaProducer(
        bootstrap_servers=settings.kafka,
        acks="all",
        enable_idempotence=True,
        # aiokafka's lz4 is level 9: 70 MB/s on the recordings, where zstd packs 390 MB/s and smaller.
        compression_type="zstd",
        max_batch_size=MAX_BATCH,
        max_request_size=MAX_REQUEST,
        retry_backoff_ms=100,
    )


async def partition_counts(producer: AIOKafkaProducer, topics: Iterable[str]) -> dict[str, int]:
    """Return the number of partitions of each topic, 0 for a topic that does not exist."""
    cluster = await producer.client.fetch_all_metadata()
    return {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in topics}


def check_partitions(found: dict[str, int], settings: Settings) -> None:
    """Raise `StackError` for the first topic whose number of partitions (0: missing) differs from the setting."""
    for topic, partitions in found.items():
        if partitions != settings.partitions:
            raise StackError(
                f"topic {topic} has {partitions} partitions, but the setting `partitions` is {settings.partitions}: "
                "run `marketprism topics --create`, or correct the setting"
            )


class RetryingProducer:
    """Producer whose `send` returns once the broker has acknowledged the record.

    A failed producer is replaced and its record sent again. In the rare case that the broker had written the record
    without our receiving the acknowledgement, it is a duplicate, which the books' sequence rules drop.
    """

    def __init__(self, settings: Settings, topics: Iterable[str]) -> None:
        self._settings = settings
        self._topics = tuple(topics)
        self._producer: AIOKafkaProducer | None = None
        self._lock = asyncio.Lock()
        self._warned_at: dict[str, float] = {}

    async def send(self, topic: str, partition: int, record: Record) -> None:
        """Send a record, retrying indefinitely. `StackError` if the topics do not fit the settings."""
        while True:
            producer = await self._ready_producer()
            try:
                acknowledgement = await producer.send(
                    topic, record.value, partition=partition, timestamp_ms=record.timestamp_ms
                )
                if await self._acknowledged(producer, acknowledgement):
                    return
            except KafkaError as error:
                self._warn("the broker rejected records: retrying with a new producer", error=error, topic=topic)
                await asyncio.sleep(_RETRY)
                await self._discard(producer)

    async def close(self) -> None:
        """Stop the producer. Records still in flight are flushed, for a few seconds at most."""
        async with self._lock:
            producer, self._producer = self._producer, None
            if producer is not None:
                await stop_producer(producer)

    async def _acknowledged(self, producer: AIOKafkaProducer, acknowledgement: "asyncio.Future[Any]") -> bool:
        """Wait for the acknowledgement. Return False if the producer was replaced."""
        while not acknowledgement.done():
            await asyncio.wait({acknowledgement}, timeout=_SUSPECT_AFTER)
            if not acknowledgement.done():
                if producer is not self._producer:
                    return False
                suspect_broker("raw records are not acknowledged: they are buffered")
        acknowledgement.result()
        self._warned_at.clear()
        return True

    async def _ready_producer(self) -> AIOKafkaProducer:
        async with self._lock:
            while self._producer is None:
                self._producer = await self._start()
                if self._producer is None:
                    await asyncio.sleep(_RETRY)
            return self._producer

    async def _start(self) -> AIOKafkaProducer | None:
        producer = producer_of(self._settings)
        # By default a batch older than the request timeout fails if its partition has no leader at that moment, as when
        # the broker returns. Its sequence number is then used up, and the broker rejects every later batch.
        producer._message_accumulator._batch_ttl = float("inf")
        try:
            await producer.start()
            if missing := await self._missing_topics(producer):
                self._warn("topics are missing, waiting: run `marketprism topics --create`", topics=missing)
                await producer.stop()
                return None
        except (KafkaError, OSError) as error:
            suspect_broker(error_text(error))
            await producer.stop()
            return None
        except BaseException:
            await producer.stop()
            raise
        return producer

    async def _missing_topics(self, producer: AIOKafkaProducer) -> list[str]:
        found = await partition_counts(producer, self._topics)
        check_partitions({topic: partitions for topic, partitions in found.items() if partitions}, self._settings)
        return [topic for topic, partitions in found.items() if not partitions]

    async def _discard(self, producer: AIOKafkaProducer) -> None:
        async with self._lock:
            if self._producer is producer:
                self._producer = None
                await stop_producer(producer)

    def _warn(self, event: str, **more: Any) -> None:
        now = time.monotonic()
        if now - self._warned_at.get(event, -_WARN_AGAIN) >= _WARN_AGAIN:
            self._warned_at[event] = now
            log.warning(event, kafka=self._settings.kafka, **more)


async def stop_producer(producer: AIOKafkaProducer, timeout: float = _STOP_TIMEOUT) -> None:
    """Stop a producer. Records still in flight are flushed, for `timeout` seconds at most."""
    try:
        await asyncio.wait_for(producer.stop(), timeout)
    except (TimeoutError, KafkaError) as error:
        log.warning("the producer did not stop cleanly", error=error)
