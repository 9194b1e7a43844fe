"""One idempotent producer that never gives up: records go to the broker in order, however long it is away."""

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
from schemas.settings import Settings

log = structlog.get_logger(__name__)

_TOLD_AFTER = 2.0  # s without an acknowledgement until the log says so
_RETRY = 0.5  # s between attempts to connect
_TELL_AGAIN = 30.0  # s between log lines about the same trouble
_STOP = 5.0  # s for a producer to end


def producer_of(settings: Settings) -> AIOKafkaProducer:
    """A producer for raw records, not started."""
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
    """The number of partitions by topic; 0 where there is no such topic."""
    cluster = await producer.client.fetch_all_metadata()
    return {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in topics}


def check_partitions(found: dict[str, int], settings: Settings) -> None:
    """`StackError` for the first topic that is missing or has another number of partitions than the settings."""
    for topic, partitions in found.items():
        if partitions != settings.partitions:
            raise StackError(
                f"topic {topic} has {partitions} partitions where the setting `partitions` says {settings.partitions}: "
                "`marketprism topics --create`, or correct the setting"
            )


class RetryingProducer:
    """`send` returns once the broker has the record. A dead producer is replaced and the record sent again:
    in that rare case one that was written without our hearing of it stands twice, which the books' sequence rules drop.
    """

    def __init__(self, settings: Settings, topics: Iterable[str]) -> None:
        self._settings = settings
        self._topics = tuple(topics)
        self._producer: AIOKafkaProducer | None = None
        self._lock = asyncio.Lock()
        self._told: dict[str, float] = {}
        self.away = False

    async def send(self, topic: str, partition: int, record: Record) -> None:
        while True:
            producer = await self._ready()
            try:
                acknowledgement = await producer.send(
                    topic, record.value, partition=partition, timestamp_ms=record.timestamp_ms
                )
                if await self._acknowledged(producer, acknowledgement):
                    return
            except KafkaError as error:
                self._tell("the broker refuses records: a new producer tries again", error=repr(error), topic=topic)
                await asyncio.sleep(_RETRY)
                await self._replace(producer)

    async def close(self) -> None:
        async with self._lock:
            producer, self._producer = self._producer, None
            if producer is not None:
                await _stop(producer)

    async def _acknowledged(self, producer: AIOKafkaProducer, acknowledgement: "asyncio.Future[Any]") -> bool:
        """Wait, and say when it takes long. False: the producer was replaced meanwhile."""
        while not acknowledgement.done():
            await asyncio.wait({acknowledgement}, timeout=_TOLD_AFTER)
            if not acknowledgement.done():
                if producer is not self._producer:
                    return False
                self._is_away()
        acknowledgement.result()
        self._is_back()
        return True

    async def _ready(self) -> AIOKafkaProducer:
        async with self._lock:
            while self._producer is None:
                self._producer = await self._started()
                if self._producer is None:
                    await asyncio.sleep(_RETRY)
            return self._producer

    async def _started(self) -> AIOKafkaProducer | None:
        producer = producer_of(self._settings)
        # Else a batch that is older than the request timeout fails when its partition has no leader for a moment, as
        # at the broker's return; its sequence number is used up then, and every later batch is refused.
        producer._message_accumulator._batch_ttl = float("inf")
        try:
            await producer.start()
            if missing := await self._missing(producer):
                self._tell("topics are missing: `marketprism topics --create` creates them; waiting", topics=missing)
                await producer.stop()
                return None
        except (KafkaError, OSError) as error:
            self._is_away(error)
            await producer.stop()
            return None
        except BaseException:
            await producer.stop()
            raise
        return producer

    async def _missing(self, producer: AIOKafkaProducer) -> list[str]:
        found = await partition_counts(producer, self._topics)
        check_partitions({topic: partitions for topic, partitions in found.items() if partitions}, self._settings)
        return [topic for topic, partitions in found.items() if not partitions]

    async def _replace(self, producer: AIOKafkaProducer) -> None:
        async with self._lock:
            if self._producer is producer:
                self._producer = None
                await _stop(producer)

    def _is_away(self, error: BaseException | None = None) -> None:
        more = {"error": str(error)} if error else {}
        self._tell("the broker does not answer: buffering, and trying again", **more)
        self.away = True

    def _is_back(self) -> None:
        if self.away:
            log.info("the broker is back", kafka=self._settings.kafka)
        self.away = False
        self._told.clear()

    def _tell(self, event: str, **more: Any) -> None:
        now = time.monotonic()
        if now - self._told.get(event, -_TELL_AGAIN) >= _TELL_AGAIN:
            self._told[event] = now
            log.warning(event, kafka=self._settings.kafka, **more)


async def _stop(producer: AIOKafkaProducer) -> None:
    try:
        await asyncio.wait_for(producer.stop(), _STOP)
    except (TimeoutError, KafkaError) as error:
        log.warning("the producer did not end in order", error=repr(error))
