"""Consumer group that stores every market event, signal and dead letter in ClickHouse exactly once."""

import asyncio
import contextlib
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from schemas.events import TABLES
from schemas.limits import MAX_REQUEST
from schemas.logs import error_text, suspect_broker
from schemas.settings import Settings
from schemas.topics import SINK_GROUP, STORED_TOPICS
from sinks.assignment_log import AssignmentLog
from sinks.partition_writer import PartitionWriter, SharedResources
from sinks.storage.base import Storage

_COMMIT_S = 1.0  # between commits; offsets only show the lag, the start position comes from ClickHouse
_PARALLEL_INSERTS = 4
_ANSWERS_WITHIN = 3.0  # s for which a commit, or the end of a client, waits for the broker

log = structlog.get_logger(__name__)


class Sink(ConsumerRebalanceListener):  # type: ignore[misc]
    """Consumer that runs one `PartitionWriter` for each assigned partition.

    The tables must exist (`sinks.migrations.migrate`).
    """

    def __init__(self, settings: Settings, storage: Storage) -> None:
        self._settings = settings
        self._storage = storage
        self._topics = {settings.topic(name): name for name in STORED_TOPICS}
        self._writers: dict[TopicPartition, PartitionWriter] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._commit_due = 0.0
        self._assignment = AssignmentLog()
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Make `run` store the queued records and return."""
        self._stop.set()

    async def run(self) -> None:
        """Store events until `stop` is called. Raise `StorageError` if the topics do not match the stored rows."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka,
            group_id=self._settings.topic(SINK_GROUP),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            # Bounds how long idle topics delay busy ones: aiokafka has one request in flight to each broker, and it
            # covers only the partitions whose fetched records have all been consumed.
            fetch_max_wait_ms=100,
            metadata_max_age_ms=10_000,  # new partitions are discovered within this time
        )
        producer = AIOKafkaProducer(bootstrap_servers=self._settings.kafka, acks="all", max_request_size=MAX_REQUEST)
        threads = ThreadPoolExecutor(_PARALLEL_INSERTS, thread_name_prefix="insert")
        self._shared = SharedResources(self._settings, self._storage, consumer, producer, threads)
        consumer.subscribe(list(self._topics), listener=self)
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(threads.shutdown)
            for client in (producer, consumer):
                stack.push_async_callback(_stopped, client)
                if not await self._start(client):
                    return
            try:
                while not self._stop.is_set():
                    await self._step(consumer)
            finally:
                await self._close(list(self._writers))

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._shared.consumer.pause(*assigned)  # until the writer has found its start position
        for partition in assigned:
            name = self._topics[partition.topic]
            self._writers[partition] = PartitionWriter(partition, name, TABLES[name], self._shared)
        self._assignment.assigned(assigned)

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        await self._close(revoked)

    async def _start(self, client: AIOKafkaConsumer | AIOKafkaProducer) -> bool:
        """Start a client as soon as the broker answers. Return False when `stop` is called first."""
        while not self._stop.is_set():
            try:
                await client.start()
            except (KafkaError, OSError) as error:
                suspect_broker(error_text(error))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), 1.0)
            else:
                return True
        return False

    async def _step(self, consumer: AIOKafkaConsumer) -> None:
        for partition, records in (await consumer.getmany(timeout_ms=200)).items():
            writer = self._writers.get(partition)
            if writer is not None:
                writer.add(records)
        for writer in self._writers.values():
            writer.raise_if_failed()
        if time.monotonic() >= self._commit_due:
            self._commit_due = time.monotonic() + _COMMIT_S
            await self._commit(self._writers)
            self._assignment.check(self._writers.values())

    async def _close(self, partitions: Collection[TopicPartition]) -> None:
        closing = [partition for partition in partitions if partition in self._writers]
        results = await asyncio.gather(*(self._writers[each].close() for each in closing), return_exceptions=True)
        await self._commit(closing)
        for partition in closing:
            del self._writers[partition]
            self._committed.pop(partition, None)
        for result in results:
            if isinstance(result, BaseException):
                log.error("partition closed after an error", reason=result)

    async def _commit(self, partitions: Collection[TopicPartition]) -> None:
        offsets = {each: stored for each in partitions if (stored := self._writers[each].commit_offset) >= 0}
        new = {each: stored for each, stored in offsets.items() if self._committed.get(each) != stored}
        if not new:
            return
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN):
                await self._shared.consumer.commit(new)
        except TimeoutError:  # as harmless as a failure
            suspect_broker("offsets not committed: no answer")
        except KafkaError as error:  # harmless: the start position comes from ClickHouse
            suspect_broker(f"offsets not committed: {error_text(error)}")
        else:
            self._committed |= new


async def _stopped(client: AIOKafkaConsumer | AIOKafkaProducer) -> None:
    """Stop a client, whether the broker answers or not: everything is stored by then."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_ANSWERS_WITHIN):
            await client.stop()
