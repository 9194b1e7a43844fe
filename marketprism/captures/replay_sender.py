"""Replayed lines into raw records: cut by lines, bytes and recorded time, sent in order per partition."""

import asyncio
from collections import deque
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from ingest.producer import check_partitions, partition_counts, producer_of
from marketprism.captures.replay_lines import TopicLine
from schemas.errors import StackError
from schemas.settings import Settings
from schemas.topics import raw_topic

_LINES = 50  # in a record
_BYTES = 500_000
_SPAN = 1_000_000_000  # ns of recorded time in a record
_IN_FLIGHT = 256  # records on their way


class _Batch:
    """The lines of the next record of one partition."""

    __slots__ = ("first", "lines", "partition", "size", "topic")

    def __init__(self, topic: str, partition: int) -> None:
        self.topic, self.partition = topic, partition
        self.lines: list[bytes] = []
        self.size = 0
        self.first = 0


class ReplaySender:
    """`add` lines, `relieve` when `crowded`, `flush` at the end. `StackError` where the broker fails for good."""

    def __init__(self, settings: Settings, exchanges: Sequence[str]) -> None:
        self.lines = 0
        self.records = 0
        self._settings = settings
        self._batches: dict[str, list[_Batch]] = {}
        self._unchecked: list[str] = []  # topics
        for name in exchanges:
            self._open(name)
        self._cut: deque[tuple[_Batch, bytes, int]] = deque()
        self._flight: deque[asyncio.Future[object]] = deque()
        self._producer: AIOKafkaProducer

    @property
    def crowded(self) -> bool:
        return bool(self._cut)

    def add(self, topic_line: TopicLine) -> None:
        exchange, partition, stamp, line = topic_line
        batch = (self._batches.get(exchange) or self._open(exchange))[partition]
        lines = batch.lines
        if lines and (len(lines) >= _LINES or batch.size + len(line) > _BYTES or stamp - batch.first >= _SPAN):
            self._cut_one(batch)
            lines = batch.lines
        if not lines:
            batch.first = stamp
        lines.append(line)
        batch.size += len(line)
        self.lines += 1

    def cut_all(self) -> None:
        """Let what has gathered go as it is."""
        for batches in self._batches.values():
            for batch in batches:
                if batch.lines:
                    self._cut_one(batch)

    def _cut_one(self, batch: _Batch) -> None:
        self._cut.append((batch, b"".join(batch.lines), batch.first // 1_000_000))
        batch.lines, batch.size = [], 0

    async def relieve(self) -> None:
        """Hand the cut records to the producer; wait where too many are on their way."""
        try:
            if self._unchecked:
                await self._check_topics()
            while self._cut:
                batch, value, millis = self._cut.popleft()
                sent = await self._producer.send(batch.topic, value, partition=batch.partition, timestamp_ms=millis)
                self._flight.append(sent)
                self.records += 1
                if len(self._flight) > _IN_FLIGHT:
                    await self._flight.popleft()
        except KafkaError as error:
            raise self._refused(error) from error

    async def flush(self) -> None:
        """Everything added stands in the topic after this."""
        self.cut_all()
        await self.relieve()
        try:
            while self._flight:
                await self._flight.popleft()
        except KafkaError as error:
            raise self._refused(error) from error

    def _refused(self, error: KafkaError) -> StackError:
        return StackError(f"the broker at {self._settings.kafka} does not take a record: {error!r}")

    async def __aenter__(self) -> "ReplaySender":
        self._producer = producer_of(self._settings)
        try:
            await self._producer.start()
            await self._check_topics()
        except (KafkaError, OSError) as error:
            await self._producer.stop()
            raise StackError(f"no broker answers at {self._settings.kafka} (setting `kafka`): {error}") from None
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
