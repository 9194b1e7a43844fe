"""Count the records in every topic, and those that the workers and the sink have not consumed yet."""

import asyncio
import time
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaError
from aiokafka.structs import OffsetAndMetadata

from schemas.errors import StackError
from schemas.feeds import EXCHANGES
from schemas.settings import Settings
from schemas.topics import CONTROL, JOIN, SINK_GROUP, STORED_TOPICS, TOPICS, WORKER_GROUP, raw_topic

_GROUPS = {
    WORKER_GROUP: (*(raw_topic(exchange) for exchange in EXCHANGES), JOIN),
    SINK_GROUP: STORED_TOPICS,
}
_DRAIN_CHECKS = 3  # consecutive readings without lag
_DRAIN_EVERY = 0.5  # s between readings


@dataclass(frozen=True)
class Lag:
    """Number of records by topic, and of those not yet committed by their consumer: by group and by topic."""

    records: dict[str, int] = field(default_factory=dict)
    by_group: dict[str, int] = field(default_factory=dict)
    by_topic: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Uncommitted records of all groups."""
        return sum(self.by_group.values())


class LagReader:
    """Reader of the pipeline's lag; an async context manager."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka)
        self._admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)

    async def __aenter__(self) -> "LagReader":
        try:
            await self._consumer.start()
            await self._admin.start()
        except (KafkaError, OSError) as error:
            await self.__aexit__()
            raise StackError(f"no broker answers at {self._settings.kafka} (setting `kafka`): {error}") from None
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()
        await self._admin.close()

    async def read(self) -> Lag:
        """Return the current lag. Raise `StackError` if the broker does not return its offsets."""
        try:
            committed = {group: await self._committed(group) for group in _GROUPS}
            # Read after the commits, so that a lag of 0 is certain.
            ends = {name: await self._ends(name) for name in TOPICS}
        except (KafkaError, OSError) as error:
            raise StackError(f"cannot read the offsets of the broker at {self._settings.kafka}: {error!r}") from None
        by_topic = {
            name: _uncommitted(ends[name], committed[group]) for group, topics in _GROUPS.items() for name in topics
        }
        by_group = {group: sum(by_topic[name] for name in topics) for group, topics in _GROUPS.items()}
        return Lag({name: sum(found.values()) for name, found in ends.items()}, by_group, by_topic)

    async def _committed(self, group: str) -> dict[TopicPartition, OffsetAndMetadata]:
        try:
            found: dict[TopicPartition, OffsetAndMetadata] = await self._admin.list_consumer_group_offsets(
                self._settings.topic(group)
            )
        except GroupCoordinatorNotAvailableError:  # no group of this broker has ever committed anything
            return {}
        return found

    async def _ends(self, name: str) -> dict[TopicPartition, int]:
        partitions = 1 if name == CONTROL else self._settings.partitions
        wanted = [TopicPartition(self._settings.topic(name), number) for number in range(partitions)]
        ends: dict[TopicPartition, int] = await self._consumer.end_offsets(wanted)
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
                lag = await reader.read()
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


def _uncommitted(ends: dict[TopicPartition, int], committed: dict[TopicPartition, OffsetAndMetadata]) -> int:
    found = {(place.topic, place.partition): entry.offset for place, entry in committed.items()}
    return sum(max(0, end - max(0, found.get((place.topic, place.partition), 0))) for place, end in ends.items())
