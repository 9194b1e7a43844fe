"""Measure how far the workers and the sink are behind: in records, and in seconds."""

import asyncio
import time
from dataclasses import dataclass, field, replace

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaError

from marketprism.ops.topics import no_broker
from schemas.errors import StackError
from schemas.feeds import EXCHANGES
from schemas.limits import KIB
from schemas.settings import Settings
from schemas.topics import JOIN, SINK_GROUP, STORED_TOPICS, TOPICS, WORKER_GROUP, raw_topic

_GROUPS = {
    WORKER_GROUP: (*(raw_topic(exchange) for exchange in EXCHANGES), JOIN),
    SINK_GROUP: STORED_TOPICS,
}
_OLDEST_WITHIN = 2.0  # s for reading the oldest records; those not read by then are left out
_FETCH = 128 * KIB  # of a partition, of which only the first record is needed; a larger batch is fetched alone
_DRAIN_CHECKS = 3  # consecutive readings without lag
_DRAIN_EVERY = 0.5  # s between readings
_PASSED_EVERY = 0.2


Offsets = dict[TopicPartition, int]


@dataclass(frozen=True)
class Lag:
    """Number of records by topic, and of those not yet committed by their consumer: by group and by topic.

    `seconds_by_group`, `seconds_by_topic`: age of the oldest record not yet committed, by its time in Kafka, in
    seconds; 0 without such a record. Only `LagReader.read` sets them.
    """

    records: dict[str, int] = field(default_factory=dict)
    by_group: dict[str, int] = field(default_factory=dict)
    by_topic: dict[str, int] = field(default_factory=dict)
    seconds_by_group: dict[str, float] = field(default_factory=dict)
    seconds_by_topic: dict[str, float] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Uncommitted records of all groups."""
        return sum(self.by_group.values())


class LagReader:
    """Reader of the pipeline's lag; an async context manager."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=settings.kafka,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=100,
            max_partition_fetch_bytes=_FETCH,
        )
        self._admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)

    async def __aenter__(self) -> "LagReader":
        try:
            await self._consumer.start()
            await self._admin.start()
        except (KafkaError, OSError) as error:
            await self.__aexit__()
            raise no_broker(self._settings, error) from None
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()
        await self._admin.close()

    async def count(self) -> Lag:
        """Return the current lag in records. Raise `StackError` if the broker does not return its offsets."""
        return (await self._count())[0]

    async def read(self) -> Lag:
        """Return the current lag in records and in seconds. Raise `StackError` like `count`."""
        lag, unconsumed = await self._count()
        now = time.time()
        try:
            oldest = await self._oldest(unconsumed)
        except (KafkaError, OSError) as error:
            raise StackError(f"cannot read the topics of the broker at {self._settings.kafka}: {error!r}") from None
        ages: dict[str, float] = {}
        for place, written_at in oldest.items():
            ages[place.topic] = max(ages.get(place.topic, 0.0), now - written_at)
        by_topic = {name: ages.get(self._settings.topic(name), 0.0) for name in lag.by_topic}
        by_group = {group: max(by_topic[name] for name in topics) for group, topics in _GROUPS.items()}
        return replace(lag, seconds_by_group=by_group, seconds_by_topic=by_topic)

    async def until_passed(self, group: str, topic: str, stalled_after: float) -> None:
        """Wait until a group has committed everything that a topic has now, however much follows.

        Raise `StackError` if it has not committed anything for `stalled_after` seconds.
        """
        last, changed_at = -1, time.monotonic()
        try:
            ends = await self._ends(topic)
            while True:
                committed = await self._committed(group)
                left = sum(max(0, end - max(0, committed.get(place, 0))) for place, end in ends.items())
                if not left:
                    return
                if left != last:
                    last, changed_at = left, time.monotonic()
                if time.monotonic() - changed_at > stalled_after:
                    who = {WORKER_GROUP: "worker", SINK_GROUP: "sink"}[group]
                    raise StackError(
                        f"{left} records of {self._settings.topic(topic)} were not processed within "
                        f"{stalled_after:.0f} s: is `marketprism {who}` running?"
                    )
                await asyncio.sleep(_PASSED_EVERY)
        except (KafkaError, OSError) as error:
            raise StackError(f"cannot read the offsets of the broker at {self._settings.kafka}: {error!r}") from None

    async def _count(self) -> tuple[Lag, Offsets]:
        """Return the lag in records, and the first uncommitted offset of each partition that has such records."""
        try:
            committed = {group: await self._committed(group) for group in _GROUPS}
            # Read after the commits, so that a lag of 0 is certain.
            ends = {name: await self._ends(name) for name in TOPICS}
        except (KafkaError, OSError) as error:
            raise StackError(f"cannot read the offsets of the broker at {self._settings.kafka}: {error!r}") from None
        starts = {
            name: {place: max(0, committed[group].get(place, 0)) for place in ends[name]}
            for group, topics in _GROUPS.items()
            for name in topics
        }
        by_topic = {
            name: sum(max(0, ends[name][place] - start) for place, start in each.items())
            for name, each in starts.items()
        }
        by_group = {group: sum(by_topic[name] for name in topics) for group, topics in _GROUPS.items()}
        lag = Lag({name: sum(each.values()) for name, each in ends.items()}, by_group, by_topic)
        return lag, {
            place: start for name, each in starts.items() for place, start in each.items() if start < ends[name][place]
        }

    async def _oldest(self, offsets: Offsets) -> dict[TopicPartition, float]:
        """Return when the broker wrote the records at these offsets, in s since the epoch.

        A record that was deleted meanwhile is replaced by its successor.
        """
        if not offsets:
            return {}
        self._consumer.assign(list(offsets))
        for place, offset in offsets.items():
            self._consumer.seek(place, offset)
        found: dict[TopicPartition, float] = {}
        deadline = time.monotonic() + _OLDEST_WITHIN
        try:
            while len(found) < len(offsets) and time.monotonic() < deadline:
                missing = [place for place in offsets if place not in found]
                for place, records in (await self._consumer.getmany(*missing, timeout_ms=100, max_records=1)).items():
                    found[place] = records[0].timestamp / 1000
                    self._consumer.pause(place)
        finally:
            self._consumer.unsubscribe()
        return found

    async def _committed(self, group: str) -> Offsets:
        try:
            found = await self._admin.list_consumer_group_offsets(self._settings.topic(group))
        except GroupCoordinatorNotAvailableError:  # no group of this broker has ever committed anything
            return {}
        return {TopicPartition(place.topic, place.partition): entry.offset for place, entry in found.items()}

    async def _ends(self, name: str) -> Offsets:
        partitions = TOPICS[name].partitions or self._settings.partitions
        wanted = [TopicPartition(self._settings.topic(name), number) for number in range(partitions)]
        ends: Offsets = await self._consumer.end_offsets(wanted)
        return ends


async def until_drained(settings: Settings, *groups: str, stalled_after: float = 60.0) -> None:
    """Wait until these consumer groups, by default the workers and the sink, have consumed everything.

    The lag must be zero several times in a row, as each group may still publish for the other. Failed readings are
    repeated. Raise `StackError` when the lag has not changed for `stalled_after` seconds.
    """
    zeros, last, changed_at = 0, -1, time.monotonic()
    async with LagReader(settings) as reader:
        while zeros < _DRAIN_CHECKS:
            try:
                lag = await reader.count()
            except StackError:  # the broker may be restarting
                zeros = 0
            else:
                total = sum(lag.by_group[group] for group in groups or _GROUPS)
                zeros = 0 if total else zeros + 1
                if total != last:
                    last, changed_at = total, time.monotonic()
            if time.monotonic() - changed_at > stalled_after:
                raise StackError(f"{last} records were not consumed within {stalled_after:.0f} s: see the logs")
            await asyncio.sleep(_DRAIN_EVERY)


async def until_stored(settings: Settings, exchange: str, topic: str, stalled_after: float = 60.0) -> None:
    """Wait until everything that an exchange's raw topic has now is stored, as far as it belongs to a topic.

    Raise `StackError` when the workers or the sink have processed nothing of it for `stalled_after` seconds.
    """
    async with LagReader(settings) as reader:
        await reader.until_passed(WORKER_GROUP, raw_topic(exchange), stalled_after)
        await reader.until_passed(SINK_GROUP, topic, stalled_after)
