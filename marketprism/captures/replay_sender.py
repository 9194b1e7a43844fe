"""Batch replayed lines into raw records by lines, bytes and recorded time, and send them in order per partition."""

import asyncio
from collections import deque
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from ingest.producer import check_partitions, partition_counts, producer_of
from marketprism.captures.replay_lines import TopicLine
from marketprism.ops.topics import no_broker
from schemas.errors import StackError
from schemas.settings import Settings
from schemas.topics import raw_topic

# Maximum lines, bytes and recorded time (ns) of a record:
_LINES = 50
_BYTES = 500_000
_SPAN = 1_000_000_000
_MAX_IN_FLIGHT = 256  # unacknowledged records


class _Batch:
    """Lines of the next record of one partition."""

    __slots__ = ("first", "lines", "partition", "size", "topic")

    def __init__(self, topic: str, partition: int) -> None:
        self.topic, self.partition = topic, partition
        self.lines: list[bytes] = []
        self.size = 0
        self.first = 0


class ReplaySender:
    """Sender of replayed lines: `add` lines, `send_records` when it `has_records`, and `flush` at the end.

    Sending raises `StackError` if the broker does not accept a record.
    """

    def __init__(self, settings: Settings, exchanges: Sequence[str]) -> None:
        self.lines = 0
        self.records = 0
        self._settings = settings
        self._batches: dict[str, list[_Batch]] = {}  # by exchange
        self._unchecked: list[str] = []  # topics whose partitions are to be checked
        for name in exchanges:
            self._open(name)
        self._records: deque[tuple[_Batch, bytes, int]] = deque()
        self._in_flight: deque[asyncio.Future[object]] = deque()
        self._producer: AIOKafkaProducer

    @property
    def has_records(self) -> bool:
        """Whether complete records are waiting to be sent."""
        return bool(self._records)

    def add(self, topic_line: TopicLine) -> None:
        """Add a line to its batch. A full batch becomes a record."""
        exchange, partition, stamp, line = topic_line
        batch = (self._batches.get(exchange) or self._open(exchange))[partition]
        lines = batch.lines
        if lines and (len(lines) >= _LINES or batch.size + len(line) > _BYTES or stamp - batch.first >= _SPAN):
            self._close(batch)
            lines = batch.lines
        if not lines:
            batch.first = stamp
        lines.append(line)
        batch.size += len(line)
        self.lines += 1

    def close_batches(self) -> None:
        """Turn all batches into records, although they are not full."""
        for batches in self._batches.values():
            for batch in batches:
                if batch.lines:
                    self._close(batch)

    def _close(self, batch: _Batch) -> None:
        self._records.append((batch, b"".join(batch.lines), batch.first // 1_000_000))
        batch.lines, batch.size = [], 0

    async def send_records(self) -> None:
        """Pass the waiting records to the producer. Wait while too many are unacknowledged."""
        try:
            if self._unchecked:
                await self._check_topics()
            while self._records:
                batch, value, millis = self._records.popleft()
                sent = await self._producer.send(batch.topic, value, partition=batch.partition, timestamp_ms=millis)
                self._in_flight.append(sent)
                self.records += 1
                if len(self._in_flight) > _MAX_IN_FLIGHT:
                    await self._in_flight.popleft()
        except KafkaError as error:
            raise self._rejected(error) from error

    async def flush(self) -> None:
        """Send everything and wait until it is acknowledged."""
        self.close_batches()
        await self.send_records()
        try:
            while self._in_flight:
                await self._in_flight.popleft()
        except KafkaError as error:
            raise self._rejected(error) from error

    def _rejected(self, error: KafkaError) -> StackError:
        return StackError(f"the broker at {self._settings.kafka} does not accept a record: {error!r}")

    async def __aenter__(self) -> "ReplaySender":
        self._producer = producer_of(self._settings)
        try:
            await self._producer.start()
            await self._check_topics()
        except (KafkaError, OSError) as error:
            await self._producer.stop()
            raise no_broker(self._settings, error) from None
        except StackError:
            await self._producer.stop()
            raise
        return self

    def _open(self, exchange: str) -> list[_Batch]:
        topic = self._settings.topic(raw_topic(exchange))
        batches = self._batches[exchange] = [_Batch(topic, number) for number in range(self._settings.partitions)]
        self._unchecked.append(topic)
        return batches

    async def _check_topics(self) -> None:
        topics, self._unchecked = self._unchecked, []
        check_partitions(await partition_counts(self._producer, topics), self._settings)

    async def __aexit__(self, *failure: object) -> None:
        await self._producer.stop()
