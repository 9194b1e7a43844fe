"""One topic partition on its way into ClickHouse: records gather, leave as one block, one block at a time."""

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
from schemas.settings import Settings
from schemas.sources import SeenSources, source_of
from sinks.dead_letters import rejected_row
from sinks.storage.base import Block, Refusal, Storage, UnexplainedError
from sinks.tables import held_query

MAX_ROWS = 50_000
MAX_BYTES = 8_000_000
FLUSH_S = 0.5  # most that a record waits for others
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0  # s between attempts while ClickHouse or the broker is away
_LONG, _REPORT_EVERY = 10.0, 30.0  # s of waiting that is worth a line when it is over; between lines while it lasts
_MOST_UNPROVEN = 3  # rows in a row that are set aside while it is in doubt whether ClickHouse can store any
_MAX_KEY = 1_024  # bytes of a record's key that its dead letter repeats

log = structlog.get_logger(__name__)
R = TypeVar("R")


class Held(NamedTuple):
    """What ClickHouse holds of a topic partition and one origin: highest offset, and the source there."""

    origin: str
    offset: int
    source: str


class Shared(NamedTuple):
    """What all partitions' writers work with."""

    settings: Settings
    storage: Storage
    consumer: AIOKafkaConsumer
    producer: AIOKafkaProducer
    threads: Executor


class _Closing(Exception):
    """The writer is to end, and what it waited for has not come."""


class PartitionWriter:
    """Runs from the assignment of a partition to its revocation. `topic` is without prefix."""

    def __init__(self, assigned: TopicPartition, topic: str, table: str, shared: Shared) -> None:
        self.stored = -1  # the offset to commit: everything before it is in ClickHouse or in dead_letters
        self._assigned = assigned
        self._topic = topic
        self._table = f"{shared.settings.database}.{table}"
        self._shared = shared
        self._log = log.bind(topic=assigned.topic, partition=assigned.partition)
        self._sources = SeenSources()
        self._records: list[ConsumerRecord] = []
        self._bytes = 0
        self._seen = 0  # the offset after the last record taken from the consumer
        self._start = 0
        self._resumes_at: Held | None = None  # to be found in the topic before anything is stored
        self._unproven = 0  # rows set aside in doubt since anything was stored
        self._arrived, self._full, self._closing = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"store {assigned.topic}-{assigned.partition}")

    def add(self, records: Sequence[ConsumerRecord]) -> None:
        """Take records, in order. The consumer is paused while a block's worth waits."""
        if not records:
            return
        if self._resumes_at is not None:
            self._verify(records[0], self._resumes_at)
            self._resumes_at = None
        if records[0].offset > self._seen:
            self._log.error("records lost: the broker dropped them early", records=records[0].offset - self._seen)
        repeated = 0
        for record in records:
            if record.offset < self._start:
                continue
            value = record.value or b""
            if self._sources.is_new(value):
                self._records.append(record)
                self._bytes += len(value)
            else:
                repeated += 1
        self._seen = records[-1].offset + 1
        if repeated:
            self._log.info("repeated events dropped", events=repeated, until_offset=self._seen)
        self._arrived.set()
        if len(self._records) >= MAX_ROWS or self._bytes >= MAX_BYTES:
            self._full.set()
            self._shared.consumer.pause(self._assigned)

    def check(self) -> None:
        """Raise what ended the writer, if anything did."""
        if self._task.done() and not self._closing.is_set():
            self._task.result()

    async def close(self) -> None:
        """Store what has gathered, unless ClickHouse is away, and end."""
        self._closing.set()
        self._arrived.set()
        await self._task

    # Where to begin

    async def _run(self) -> None:
        try:
            await self._open()
            while await self._block_due():
                await self._store_gathered()
        except _Closing:
            self._log.info("left with records not stored: the broker keeps them", records=len(self._records))

    async def _open(self) -> None:
        """Go on after what ClickHouse holds: it alone knows, the committed offset is for those who watch the lag."""
        consumer, partition = self._shared.consumer, self._assigned
        held = await self._patiently(self._held)
        begin = (await self._patiently(lambda: consumer.beginning_offsets([partition])))[partition]
        end = (await self._patiently(lambda: consumer.end_offsets([partition])))[partition]
        self._sources = SeenSources(each.source.encode() for each in held)
        last = max(held, key=lambda each: each.offset, default=None)
        if last is None:
            self._start = await self._patiently(self._first_kept) or begin
        else:
            self._start = last.offset + 1
            if last.offset >= end:
                raise self._another_topic(f"ends at offset {end}", last)
            if last.offset >= begin:
                self._resumes_at = last
        self._seen = self._resumes_at.offset if self._resumes_at else self._start
        consumer.seek(partition, max(begin, self._seen))
        consumer.resume(partition)

    async def _held(self) -> list[Held]:
        query = held_query(self._table, self._assigned.partition)
        rows = await self._in_thread(self._shared.storage.query, query)
        return [Held(origin, int(offset), source) for origin, offset, source in rows]

    async def _first_kept(self) -> int:
        """Where nothing is held: the first record that retention would still keep, 0 for all."""
        days = self._shared.settings.retention_days
        if not days:
            return 0
        since = datetime.now(UTC) - timedelta(days=days)
        found = await self._shared.consumer.offsets_for_times({self._assigned: int(since.timestamp() * 1000)})
        at = found[self._assigned]
        return at.offset if at else 0

    def _verify(self, record: ConsumerRecord, held: Held) -> None:
        found = source_of(record.value or b"").decode(errors="replace")
        if record.offset == held.offset and found != held.source:
            raise self._another_topic(f"has {found or 'no source'} at offset {held.offset}", held)

    def _another_topic(self, finding: str, held: Held) -> StorageError:
        return StorageError(
            f"topic {self._assigned.topic} partition {self._assigned.partition} {finding}, but table "
            f"{self._table} holds {held.source} from its offset {held.offset}: the topic was made anew, or "
            "lost its end, since these rows were stored. Name another database (setting `database`), or drop this one, "
            "and start again"
        )

    # Blocks

    async def _block_due(self) -> bool:
        await self._arrived.wait()
        if not self._closing.is_set():
            await _wait(self._full, FLUSH_S)
        return bool(self._records) or not self._closing.is_set()

    async def _store_gathered(self) -> None:
        records, self._records, self._bytes = self._records, [], 0
        seen = self._seen
        if not self._closing.is_set():
            self._arrived.clear()
        if self._full.is_set():
            self._full.clear()
            if not self._closing.is_set():
                self._shared.consumer.resume(self._assigned)
        if records:
            await self._store(records)
        self.stored = seen

    async def _store(self, records: list[ConsumerRecord]) -> None:
        """In order, halving what is refused; a refused row is in dead_letters before any row after it is stored."""
        whole = Block(
            self._assigned.partition, [record.value or b"" for record in records], [record.offset for record in records]
        )
        waiting, attempts = [whole], self._shared.settings.poison_attempts
        while waiting:
            block = waiting.pop()
            alone = len(block.values) == 1
            refusal = await self._insert(block, attempts if alone or block is whole else 1)
            if refusal is None:
                self._unproven = 0
            elif not alone:
                waiting.extend(reversed(block.halves()))
            elif refusal.certain or await self._is_poison():
                await self._bury(next(each for each in records if each.offset == block.offsets[0]), refusal)
            else:
                waiting.append(block)

    async def _is_poison(self) -> bool:
        """Whether a row that fails for a reason that may be ClickHouse's is to be set aside.

        A few are, so that those after them can show that ClickHouse stores them. When these fail, too, and nothing was
        stored in between, it is ClickHouse's trouble, and is waited for.
        """
        if self._unproven < _MOST_UNPROVEN:
            self._unproven += 1
            return True
        self._log.warning("every row fails: waiting for ClickHouse", seconds=_LONGEST_WAIT)
        if await _wait(self._closing, _LONGEST_WAIT):
            raise _Closing
        return False

    async def _insert(self, block: Block, attempts: int) -> Refusal | None:
        failed = False
        unexplained = 0

        async def attempt() -> Refusal | None:
            nonlocal block, failed, unexplained
            if failed:  # the last attempt may have been stored all the same
                block = block.after(max((each.offset for each in await self._held()), default=-1))
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
                await self._in_thread(self._shared.storage.query, "SELECT 1")  # else it is away
                return Refusal(0, str(error), certain=False)

        return await self._patiently(attempt)

    async def _bury(self, record: ConsumerRecord, refusal: Refusal) -> None:
        self._log.warning("row refused", offset=record.offset, reason=refusal.reason[:500])
        topic = self._shared.settings.topic("dead_letters")
        most = MAX_DEAD_FRAME if refusal.certain else MAX_EVENT  # what nobody can explain is kept whole

        async def send() -> None:
            nonlocal most
            value = rejected_row(self._topic, record, f"refused by ClickHouse: {refusal.reason}", most)
            key = record.key if len(record.key or b"") <= _MAX_KEY else None
            try:
                await self._shared.producer.send_and_wait(topic, value, key, partition=self._assigned.partition)
            except MessageSizeTooLargeError:
                most //= 4
                raise

        await self._patiently(send)

    # Patience

    async def _patiently(self, call: Callable[[], Awaitable[R]]) -> R:
        """Call until it succeeds, or `_Closing`."""
        wait, since, report_at = _FIRST_WAIT, time.monotonic(), 0.0
        while True:
            try:
                result = await call()
            except (StorageError, KafkaError) as error:
                if time.monotonic() >= report_at:
                    report_at = time.monotonic() + _REPORT_EVERY
                    self._log.warning("waiting", seconds=round(time.monotonic() - since), reason=str(error)[:500])
            else:
                if time.monotonic() - since > _LONG:
                    self._log.info("waited", seconds=round(time.monotonic() - since))
                return result
            if await _wait(self._closing, wait):
                raise _Closing
            wait = min(wait * 2, _LONGEST_WAIT)

    async def _in_thread(self, function: Callable[..., R], *arguments: Any) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._shared.threads, function, *arguments)


async def _wait(event: asyncio.Event, seconds: float) -> bool:
    """Whether the event came within that time."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
