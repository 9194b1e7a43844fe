"""Write the runs of jobs to `control.jobs`, and read them.

The topic also keeps a job from running twice at a time, on whichever machines. A run writes that it is `running`, and
repeats it every few seconds. It goes on only if no other run of the job wrote that before it, and recently. The topic
has one partition and the broker's times, so all agree on the order and on what is recent.
"""

import socket
import time
from types import TracebackType
from typing import NamedTuple, Self

import msgspec
import psutil
from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from ingest.producer import partition_counts
from marketprism.ops.topics import consumer_of, no_broker, no_topic, read_control
from schemas.jobs import JobRun, decode_run, encode_run
from schemas.settings import Settings
from schemas.topics import JOB_RUNS

HOST = socket.gethostname()
BEAT_S = 5.0  # between two records of a run that goes on
_SILENT_MS = 30_000  # after which it has ended without saying so
_KILLED = "it ended without a result: its process was killed, or lost the broker"


class Place(NamedTuple):
    """Where a record is: its offset, and the broker's time in ms."""

    offset: int
    time_ms: int


class RunLog:
    """Writer of runs; an async context manager. Entering raises `StackError` without a broker or the topic."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topic = settings.topic(JOB_RUNS)
        self._producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, acks="all")

    async def __aenter__(self) -> Self:
        try:
            await self._producer.start()
            if not (await partition_counts(self._producer, [self._topic]))[self._topic]:  # a send would wait for it
                raise no_topic(self._settings, JOB_RUNS)
        except (KafkaError, OSError) as error:
            await self._producer.stop()
            raise no_broker(self._settings, error) from None
        except BaseException:
            await self._producer.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._producer.stop()

    async def write(self, run: JobRun) -> Place:
        """Write the state of a run. Raise `StackError` if the broker does not take it."""
        try:
            written = await self._producer.send_and_wait(self._topic, encode_run(run), run.job.encode(), partition=0)
        except (KafkaError, OSError) as error:
            raise no_broker(self._settings, error) from None
        return Place(written.offset, written.timestamp)

    async def rival_of(self, run: JobRun, place: Place) -> JobRun | None:
        """Return the run of the same job that was going on when `run` was written there, if any.

        Raise `StackError` if the broker does not say.
        """
        try:
            before = await self._before(place)
        except (KafkaError, OSError) as error:
            raise no_broker(self._settings, error) from None
        others = {other.id: other for other in before if other.job == run.job and other.id != run.id}
        return next((other for other in others.values() if _goes_on(other)), None)

    async def _before(self, place: Place) -> list[JobRun]:
        """Return the recent records before a place, in order."""
        partition, found = TopicPartition(self._topic, 0), list[ConsumerRecord]()
        async with consumer_of(self._settings) as consumer:
            consumer.assign([partition])
            first = (await consumer.offsets_for_times({partition: place.time_ms - _SILENT_MS}))[partition]
            consumer.seek(partition, first.offset)
            while await consumer.position(partition) < place.offset:
                found += (await consumer.getmany(timeout_ms=200)).get(partition, [])
        return [run for record in found if record.offset < place.offset and (run := decode_run(record.value))]


def _goes_on(run: JobRun) -> bool:
    """Return whether a recent run has not ended. One that was killed on this machine has: nobody waits for its beat."""
    return run.state == "running" and (run.host != HOST or psutil.pid_exists(run.pid))


async def past_runs(settings: Settings) -> list[JobRun]:
    """Return all runs, each in its last state, oldest first. Raise `StackError` without a broker or the topic."""
    records, now_ms = await read_control(settings, JOB_RUNS), time.time() * 1000
    decoded = [(decode_run(record.value), now_ms - record.timestamp) for record in records]
    last = {run.id: _unless_silent(run, age_ms) for run, age_ms in decoded if run}
    return sorted(last.values(), key=lambda run: run.started_at)


def _unless_silent(run: JobRun, age_ms: float) -> JobRun:
    """Return the run, as interrupted if it has stopped saying that it goes on."""
    if run.state != "running" or (_goes_on(run) and age_ms < _SILENT_MS):
        return run
    return msgspec.structs.replace(run, state="interrupted", summary=_KILLED)
