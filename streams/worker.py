"""What the stateful agents of one worker share: publishing, checkpoints and the way they fail.

An agent reads records of its topics and hands each to the state of the record's partition. What the state returns is
published, and the record is acknowledged by the next checkpoint (`streams/checkpoint.py`).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

import faust
import structlog
from aiokafka.errors import KafkaError

from schemas.errors import CheckpointError, StackError
from schemas.keys import partition_of
from schemas.limits import MAX_JOIN_RECORD, MAX_MESSAGE
from schemas.settings import Settings
from schemas.topics import CONTROL, JOIN, SIGNALS
from streams.arbitrage.lines import in_records
from streams.assignment_log import AssignmentLog
from streams.checkpoint import Checkpointed, PartitionState
from streams.output import Output
from streams.publisher import Publishers

log = structlog.get_logger(__name__)

_STOP = 5.0  # s that the last checkpoint may take
_COMPACTED = {"segment.bytes": str(32 << 20), "segment.ms": "600000", "min.cleanable.dirty.ratio": "0.2",
              "max.message.bytes": str(MAX_MESSAGE)}  # fmt: skip
_BYTES = faust.Schema(key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")


class Processor(PartitionState, Protocol):
    """State of one source partition that turns records into output."""

    def process(self, offset: int, value: bytes) -> Output:
        """Process one record."""

    def skip(self, offset: int, value: bytes, reason: str) -> Output:
        """Set a record aside that could not be processed."""


class Worker:
    """The agents of one process. `read_at`: when the last record of each partition was read, monotonic s."""

    def __init__(self, app: Any, settings: Settings) -> None:
        self.read_at: dict[Any, float] = {}
        self._app = app
        self._settings = settings
        self._agents: list[Checkpointed[Any]] = []
        self._publishers: Publishers | None = None
        self._topics: set[str] = set()
        self._assignment = AssignmentLog(settings)
        self._is_new = False  # the assignment, whose recovery is not logged yet

    @property
    def publishers(self) -> Publishers:
        """The publishers, created at first use, inside the running loop."""
        if self._publishers is None:
            urgent = {self._settings.topic(topic) for topic in (JOIN, SIGNALS, CONTROL)}
            self._publishers = Publishers(lambda: self._app.producer._ensure_producer(), self.crash, urgent)
        return self._publishers

    def agent(self, name: str, topics: Collection[str], create: Callable[[Any], Processor]) -> Checkpointed[Any]:
        """Start an agent over topics, its states in the table `name`. `create(tp)` returns an empty state."""
        # Bytes on both sides: a table of any other type makes JSON, whatever its schema says (`_serializer_from_type`).
        table = self._app.Table(
            name,
            key_type=bytes,
            value_type=bytes,
            partitions=self._settings.partitions,
            extra_topic_configs=_COMPACTED,
        )
        states = Checkpointed(self._app, table, lambda: self.publishers, create, self._settings.poison_attempts)
        self._agents.append(states)
        self._topics.update(topics)

        async def read(stream: Any) -> None:
            async for event in stream.noack().events():
                await self._on_record(states, event)

        self._app.agent(self._app.topic(*topics, schema=_BYTES), name=name)(read)
        return states

    async def _on_record(self, states: Checkpointed[Any], event: Any) -> None:
        message = event.message
        async with self._failing_safely(states, message):
            state = await states.state(message.tp)
            self.read_at[message.tp] = time.monotonic()
            if states.failures.is_poison(message.tp, message.offset):
                out = state.skip(message.offset, event.value, states.failures.reason(message.tp))
            else:
                out = state.process(message.offset, event.value)
        self._publish(out)
        states.processed(event)
        self._assignment.passed(message.tp, message.offset)
        await self.publishers.wait_for_space()

    def _publish(self, out: Output) -> None:
        put, topic_of, partitions = self.publishers.put, self._settings.topic, self._settings.partitions
        for topic, key, value in out.records:
            put(topic_of(topic), 0 if topic == CONTROL else partition_of(key, partitions), key, value)
        for join_partition, lines in out.joins.items():
            for record in in_records(lines, MAX_JOIN_RECORD):
                put(topic_of(JOIN), join_partition, None, record)

    @asynccontextmanager
    async def _failing_safely(self, states: Checkpointed[Any], message: Any) -> AsyncIterator[None]:
        """Count a failure on this record, then crash the worker: going on without the record would be a silent loss."""
        try:
            yield
        except Exception as error:
            for each in self._agents:
                each.halt()
            if not isinstance(error, CheckpointError):  # no fault of the record
                await states.failures.count(message.tp, message.offset, error)
            self.crash(error)
            raise

    def crash(self, error: BaseException) -> None:
        """Crash the worker, so that what was not published and checkpointed is read again.

        Faust would restart a crashed agent and go on with the next record.
        """
        log.error("worker crashing", error=error)
        self._app.loop.create_task(self._app.crash(error))

    def check_progress(self) -> None:
        """Crash the worker if the broker has taken nothing for too long."""
        try:
            self.publishers.check_progress(time.monotonic())
        except StackError as error:
            self.crash(error)

    def on_assigned(self, assigned: set[Any]) -> None:
        """Log an assignment, of the agents' topics."""
        self._is_new |= self._assignment.assigned({tp for tp in assigned if tp.topic in self._topics})

    async def on_recovered(self) -> None:
        """Log what the tables hold."""
        if not self._is_new:
            return
        self._is_new = False
        sources = [tp for tp in self._app.consumer.assignment() if tp.topic in self._topics]
        keys = [key for states in self._agents for key in states.stored_keys()]
        self._assignment.recovered(keys, await self._ends(sources) if sources else {})

    async def _ends(self, partitions: Collection[Any]) -> Mapping[Any, int]:
        try:
            ends: Mapping[Any, int] = await self._app.consumer.highwaters(*partitions)
        except KafkaError:  # the broker is away again: it is only logged when the worker has caught up
            return {}
        return ends

    def log_progress(self) -> None:
        """Log once that the worker has caught up."""
        self._assignment.check(self._app.consumer.committed_offsets)

    async def checkpoint(self) -> None:
        """Take the checkpoints that are due."""
        for states in self._agents:
            await states.checkpoint_in_turn()

    async def on_revoked(self, revoked: set[Any]) -> None:
        """Take a checkpoint of partitions that another worker will own."""
        for states in self._agents:
            await states.on_revoked(revoked)

    async def stop(self) -> None:
        """Take the last checkpoint, if the broker answers in time."""
        try:
            async with asyncio.timeout(_STOP):
                for states in self._agents:
                    await states.checkpoint()
        except TimeoutError:
            log.warning("no last checkpoint: the broker does not answer; records are read again")
