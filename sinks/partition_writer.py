"""Write one topic partition to ClickHouse, one block at a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from schemas.errors import StorageError
from schemas.limits import MAX_DEAD_FRAME, MAX_EVENT
from schemas.logs import error_text, suspect_broker
from schemas.settings import Settings
from schemas.sources import SeenSources, source_of
from sinks.dead_letters import rejected_row
from sinks.storage.base import Block, Rejection, Storage, UnexplainedError
from sinks.tables import held_query

MAX_ROWS = 50_000
MAX_BYTES = 8_000_000
FLUSH_S = 0.5  # maximum time that a record waits to be batched
_MIN_WAIT, _MAX_WAIT = 0.1, 5.0  # s between attempts while ClickHouse or the broker is unavailable
_LONG_WAIT = 10.0  # s; the end of a longer wait is logged
_REPORT_EVERY = 30.0  # s between log lines while waiting
_MAX_UNPROVEN = 3  # consecutive rows set aside while it is unclear whether ClickHouse can store any
_MAX_KEY = 1_024  # bytes of a record's key that are copied to its dead letter

log = structlog.get_logger(__name__)
R = TypeVar("R")


class StoredPosition(NamedTuple):
    """Highest offset that ClickHouse holds of a topic partition and one origin, and the source of that row."""

    origin: str
    offset: int
    source: str


class SharedResources(NamedTuple):
    """Clients and threads that all partition writers share."""

    settings: Settings
    storage: Storage
    consumer: AIOKafkaConsumer
    producer: AIOKafkaProducer
    threads: Executor


class _Closing(Exception):
    """Raised in a retry loop when the writer is closed before the call has succeeded."""


class PartitionWriter:
    """Writer of one topic partition, from its assignment to its revocation. `topic` is the name without prefix.

    Once it `is_open`, `backlog` has the offsets to be stored that the partition had then, and `resumes` is whether
    ClickHouse held rows of it.
    """

    def __init__(self, assigned: TopicPartition, topic: str, table: str, shared: SharedResources) -> None:
        self.commit_offset = -1  # every record before it is in ClickHouse or in dead_letters
        self.backlog = range(0)
        self.is_open = self.resumes = False
        self._assigned = assigned
        self._topic = topic
        self._table = f"{shared.settings.database}.{table}"
        self._shared = shared
        self._log = log.bind(topic=assigned.topic, partition=assigned.partition)
        self._sources = SeenSources()
        self._records: list[ConsumerRecord] = []
        self._bytes = 0
        self._next_offset = 0  # follows the last record received from the consumer
        self._first_offset = 0  # records before it are skipped
        self._resumes_at: StoredPosition | None = None  # to be verified against the topic before anything is stored
        self._unproven = 0  # rows set aside without a certain cause since a block was last stored
        self._arrived, self._full, self._closing = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"store {assigned.topic}-{assigned.partition}")

    def add(self, records: Sequence[ConsumerRecord]) -> None:
        """Queue records, in order. The consumer is paused while a full block is waiting."""
        if not records:
            return
        if self._resumes_at is not None:
            self._verify(records[0], self._resumes_at)
            self._resumes_at = None
        if records[0].offset > self._next_offset:
            missing = records[0].offset - self._next_offset
            self._log.error("records lost: the broker deleted them before they were stored", records=missing)
        duplicates = 0
        for record in records:
            if record.offset < self._first_offset:
                continue
            value = record.value or b""
            if self._sources.is_new(value):
                self._records.append(record)
                self._bytes += len(value)
            else:
                duplicates += 1
        self._next_offset = records[-1].offset + 1
        if duplicates:
            self._log.debug("duplicate events dropped", events=duplicates, until_offset=self._next_offset)
        self._arrived.set()
        if len(self._records) >= MAX_ROWS or self._bytes >= MAX_BYTES:
            self._full.set()
            self._shared.consumer.pause(self._assigned)

    @property
    def has_caught_up(self) -> bool:
        """Whether the backlog is stored."""
        return self.is_open and (not self.backlog or self.commit_offset >= self.backlog.stop)

    def raise_if_failed(self) -> None:
        """Raise the error that ended the writer, if any."""
        if self._task.done() and not self._closing.is_set():
            self._task.result()

    async def close(self) -> None:
        """Store the queued records, unless ClickHouse is unavailable, and end."""
        self._closing.set()
        self._arrived.set()
        await self._task

    # Start position

    async def _run(self) -> None:
        try:
            await self._open()
            while await self._wait_for_block():
                await self._store_queued()
        except _Closing:
            self._log.debug("closed with unstored records; Kafka keeps them", records=len(self._records))

    async def _open(self) -> None:
        """Resume after the last row in ClickHouse. Committed offsets are not used; they only show the lag."""
        consumer, partition = self._shared.consumer, self._assigned
        positions = await self._retry(self._stored_positions)
        begin = (await self._retry(lambda: consumer.beginning_offsets([partition])))[partition]
        end = (await self._retry(lambda: consumer.end_offsets([partition])))[partition]
        self._sources = SeenSources(each.source.encode() for each in positions)
        last = max(positions, key=lambda each: each.offset, default=None)
        if last is None:
            self._first_offset = await self._retry(self._first_retained_offset) or begin
        else:
            self._first_offset = last.offset + 1
            if last.offset >= end:
                raise self._topic_mismatch(f"ends at offset {end}", last)
            if last.offset >= begin:
                self._resumes_at = last
        self._next_offset = self._resumes_at.offset if self._resumes_at else self._first_offset
        self.backlog, self.resumes, self.is_open = range(max(begin, self._first_offset), end), last is not None, True
        consumer.seek(partition, max(begin, self._next_offset))
        consumer.resume(partition)

    async def _stored_positions(self) -> list[StoredPosition]:
        query = held_query(self._table, self._assigned.partition)
        rows = await self._in_thread(self._shared.storage.query, query)
        return [StoredPosition(origin, int(offset), source) for origin, offset, source in rows]

    async def _first_retained_offset(self) -> int:
        """Return the first offset within the retention period, for an empty table; 0 means all."""
        days = self._shared.settings.retention_days
        if not days:
            return 0
        since = datetime.now(UTC) - timedelta(days=days)
        found = await self._shared.consumer.offsets_for_times({self._assigned: int(since.timestamp() * 1000)})
        at = found[self._assigned]
        return at.offset if at else 0

    def _verify(self, record: ConsumerRecord, stored: StoredPosition) -> None:
        found = source_of(record.value or b"").decode(errors="replace")
        if record.offset == stored.offset and found != stored.source:
            raise self._topic_mismatch(f"has {found or 'no source'} at offset {stored.offset}", stored)

    def _topic_mismatch(self, finding: str, stored: StoredPosition) -> StorageError:
        return StorageError(
            f"topic {self._assigned.topic} partition {self._assigned.partition} {finding}, but table "
            f"{self._table} holds {stored.source} from its offset {stored.offset}: the topic was recreated or "
            "truncated after these rows were stored. Name another database (setting `database`), or drop this one, "
            "and start again"
        )

    # Blocks

    async def _wait_for_block(self) -> bool:
        await self._arrived.wait()
        if not self._closing.is_set():
            await _wait(self._full, FLUSH_S)
        return bool(self._records) or not self._closing.is_set()

    async def _store_queued(self) -> None:
        records, self._records, self._bytes = self._records, [], 0
        next_offset = self._next_offset
        if not self._closing.is_set():
            self._arrived.clear()
        if self._full.is_set():
            self._full.clear()
            if not self._closing.is_set():
                self._shared.consumer.resume(self._assigned)
        if records:
            await self._store(records)
        self.commit_offset = next_offset

    async def _store(self, records: list[ConsumerRecord]) -> None:
        """Store in order and halve rejected blocks.

        A rejected row is in dead_letters before any row after it is stored.
        """
        whole = Block(
            self._assigned.partition, [record.value or b"" for record in records], [record.offset for record in records]
        )
        waiting, attempts = [whole], self._shared.settings.poison_attempts
        while waiting:
            block = waiting.pop()
            single = len(block.values) == 1
            rejection = await self._insert(block, attempts if single or block is whole else 1)
            if rejection is None:
                self._unproven = 0
            elif not single:
                waiting.extend(reversed(block.halves()))
            elif rejection.certain or await self._is_poison():
                await self._set_aside(next(each for each in records if each.offset == block.offsets[0]), rejection)
            else:
                waiting.append(block)

    async def _is_poison(self) -> bool:
        """Decide whether to set aside a row whose failure may be ClickHouse's fault.

        A few such rows are set aside, so that later rows can show that ClickHouse stores them. When those fail too and
        nothing was stored in between, ClickHouse is at fault, and the writer waits.
        """
        if self._unproven < _MAX_UNPROVEN:
            self._unproven += 1
            return True
        self._log.warning("every row fails: waiting for ClickHouse", seconds=_MAX_WAIT)
        if await _wait(self._closing, _MAX_WAIT):
            raise _Closing
        return False

    async def _insert(self, block: Block, attempts: int) -> Rejection | None:
        failed = False
        unexplained = 0

        async def attempt() -> Rejection | None:
            nonlocal block, failed, unexplained
            if failed:  # the failed attempt may have stored the block after all
                block = block.after(max((each.offset for each in await self._stored_positions()), default=-1))
            failed = True
            if not block.values:
                return None
            token = block.token(self._assigned.topic)
            try:
                return await self._in_thread(self._shared.storage.insert, self._table, block, token)
            except UnexplainedError as error:
                unexplained += 1
                if unexplained < attempts:
                    raise
                await self._in_thread(self._shared.storage.query, "SELECT 1")  # raises if ClickHouse is unavailable
                return Rejection(0, str(error), certain=False)

        return await self._retry(attempt)

    async def _set_aside(self, record: ConsumerRecord, rejection: Rejection) -> None:
        """Send a rejected record to dead_letters."""
        self._log.warning("row rejected", offset=record.offset, reason=rejection.reason[:500])
        topic = self._shared.settings.topic("dead_letters")
        most = MAX_DEAD_FRAME if rejection.certain else MAX_EVENT  # a row that failed for no known reason is kept whole

        async def send() -> None:
            nonlocal most
            value = rejected_row(self._topic, record, f"rejected by ClickHouse: {rejection.reason}", most)
            key = record.key if len(record.key or b"") <= _MAX_KEY else None
            try:
                await self._shared.producer.send_and_wait(topic, value, key, partition=self._assigned.partition)
            except MessageSizeTooLargeError:
                most //= 4
                raise

        await self._retry(send)

    # Retries

    async def _retry(self, call: Callable[[], Awaitable[R]]) -> R:
        """Call until it succeeds; raise `_Closing` when the writer is closed first."""
        wait, since, report_at = _MIN_WAIT, time.monotonic(), 0.0
        while True:
            try:
                result = await call()
            except KafkaError as error:
                suspect_broker(error_text(error))
            except StorageError as error:
                if time.monotonic() >= report_at:
                    report_at = time.monotonic() + _REPORT_EVERY
                    self._log.warning("retrying", seconds=round(time.monotonic() - since), reason=str(error)[:500])
            else:
                if report_at and time.monotonic() - since > _LONG_WAIT:
                    self._log.info("succeeded after retries", seconds=round(time.monotonic() - since))
                return result
            if await _wait(self._closing, wait):
                raise _Closing
            wait = min(wait * 2, _MAX_WAIT)

    async def _in_thread(self, function: Callable[..., R], *arguments: Any) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._shared.threads, function, *arguments)


async def _wait(event: asyncio.Event, seconds: float) -> bool:
    """Return whether the event was set within that time."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
