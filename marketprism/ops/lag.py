"""How far the pipeline is: records in every topic, what the workers and the sink still have before them."""

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


@dataclass(frozen=True)
class Offsets:
    """`records` by topic; `lag` by consumer group, `behind` by topic: what their reader has not acknowledged."""

    records: dict[str, int] = field(default_factory=dict)
    lag: dict[str, int] = field(default_factory=dict)
    behind: dict[str, int] = field(default_factory=dict)

    @property
    def total_lag(self) -> int:
        return sum(self.lag.values())


class Lag:
    """Reads offsets; an async context manager."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka)
        self._admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)

    async def __aenter__(self) -> "Lag":
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

    async def offsets(self) -> Offsets:
        """The offsets now; `StackError` where the broker does not tell them."""
        try:
            committed = {group: await self._committed(group) for group in _GROUPS}
            # After the commits, so that a lag of 0 is one.
            ends = {name: await self._ends(name) for name in TOPICS}
        except (KafkaError, OSError) as error:
            raise StackError(f"the broker at {self._settings.kafka} does not tell its offsets: {error!r}") from None
        behind = {name: _behind(ends[name], committed[group]) for group, topics in _GROUPS.items() for name in topics}
        lag = {group: sum(behind[name] for name in topics) for group, topics in _GROUPS.items()}
        return Offsets({name: sum(found.values()) for name, found in ends.items()}, lag, behind)

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


def _behind(ends: dict[TopicPartition, int], committed: dict[TopicPartition, OffsetAndMetadata]) -> int:
    found = {(place.topic, place.partition): entry.offset for place, entry in committed.items()}
    return sum(max(0, end - max(0, found.get((place.topic, place.partition), 0))) for place, end in ends.items())
