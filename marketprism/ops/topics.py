"""Create the topics of the topic table on the broker, and read them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAlreadyExistsError, for_code

from marketprism.ops.groups import describe_groups
from schemas.errors import StackError
from schemas.limits import MAX_MESSAGE
from schemas.logs import error_text
from schemas.settings import Settings
from schemas.topics import TOPICS, WORKER_GROUP
from streams.topic_limits import changelogs, message_limits

log = structlog.get_logger(__name__)

_READY_WITHIN = 15.0  # s; usually some tens of milliseconds


@asynccontextmanager
async def admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """Open a client for topics and their configuration. Raise `StackError` if no broker answers."""
    client = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    try:
        await client.start()
        yield client
    except (KafkaError, OSError) as error:
        raise no_broker(settings, error) from None
    finally:
        await client.close()


@asynccontextmanager
async def consumer_of(settings: Settings, **options: Any) -> AsyncIterator[AIOKafkaConsumer]:
    """Open a consumer without a group, which is closed even if it cannot be opened: its own context does not do that.

    `options`: aiokafka's. Raises its errors.
    """
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka, **options)
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


def no_broker(settings: Settings, error: Exception) -> StackError:
    """Return the error of a broker that does not answer."""
    reason = "" if isinstance(error, KafkaConnectionError | OSError) else f": {error_text(error)}"
    return StackError(
        f"no broker answers at {settings.kafka} (setting `kafka`){reason}: start the system, or name the broker of one "
        "that runs"
    )


def no_topic(settings: Settings, topic: str) -> StackError:
    """Return the error of a topic, named without prefix, that does not exist."""
    name = settings.topic(topic)
    return StackError(f"there is no topic {name} at {settings.kafka}: run `marketprism topics --create`")


async def create_topics(settings: Settings) -> list[str]:
    """Create the missing topics and return their names.

    Raise `StackError` if a topic's number of partitions differs from the setting.
    """
    wanted = {settings.topic(topic.name): topic.partitions or settings.partitions for topic in TOPICS.values()}
    async with admin(settings) as client:
        existing = set(await client.list_topics())
        new = [
            NewTopic(name, wanted[name], settings.replication, topic_configs=topic.configuration())
            for topic in TOPICS.values()
            if (name := settings.topic(topic.name)) not in existing
        ]
        created = _created(await client.create_topics(new)) if new else []
        await _raise_limits(client, settings, existing)
        for name, found in (await _partitions(client, list(wanted))).items():
            if found != wanted[name]:
                raise StackError(
                    f"topic {name} has {found} partitions, but the settings say {wanted[name]}: "
                    f"set `partitions` to {found}, or use another `topic_prefix`"
                )
    return created


async def discard_checkpoints(settings: Settings) -> list[str]:
    """Delete the topics that hold the workers' checkpoints, and return their names.

    Raise `StackError` while workers are running: they would go on with a state that nothing holds any more.
    """
    async with admin(settings) as client:
        for group in await describe_groups(client, settings):
            if group.name == settings.topic(WORKER_GROUP) and group.members:
                raise StackError(
                    f"{len(group.members)} workers are running: stop them before discarding their checkpoints"
                )
        existing = set(await client.list_topics())
        names = [name for name in changelogs(settings) if name in existing]
        if names:
            await client.delete_topics(names)
    return names


async def _raise_limits(client: AIOKafkaAdminClient, settings: Settings, existing: set[str]) -> None:
    """Raise the message size limit of topics that an earlier version created."""
    ours = {settings.topic(topic.name): topic.configuration() for topic in TOPICS.values()}
    names = [name for name in (*ours, *changelogs(settings)) if name in existing]
    for name, limit in (await message_limits(client, names)).items():
        if limit < MAX_MESSAGE:
            config = ours.get(name, {"cleanup.policy": "compact", "max.message.bytes": str(MAX_MESSAGE)})
            await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs=config)])
            log.info("message size limit raised", topic=name, bytes=MAX_MESSAGE, before=limit)


async def topic_ends(settings: Settings) -> dict[str, list[int]]:
    """Return the end offset of each partition, by topic name without prefix. Topics that do not exist are left out."""
    async with admin(settings) as client:
        existing = set(await client.list_topics())
        names = {settings.topic(name): name for name in TOPICS if settings.topic(name) in existing}
        counts = await _partitions(client, list(names)) if names else {}
    if not counts:
        return {}
    wanted = {full: [TopicPartition(full, number) for number in range(count)] for full, count in counts.items()}
    partitions = [one for several in wanted.values() for one in several]
    async with consumer_of(settings) as consumer:
        consumer.assign(partitions)  # it gets to know all topics at once, instead of one every 100 ms
        ends = await consumer.end_offsets(partitions)
    return {name: [ends[one] for one in wanted[full]] for full, name in names.items()}


async def read_all(settings: Settings, topic: str, since_ms: int = 0) -> dict[int, list[ConsumerRecord]]:
    """Return all records of a topic by partition, up to its current end. `topic` is the name without prefix.

    `since_ms`: of the first record, ms since the epoch, if not all are wanted.
    """
    name, partitions = settings.topic(topic), TOPICS[topic].partitions or settings.partitions
    places = [TopicPartition(name, number) for number in range(partitions)]
    records: dict[int, list[ConsumerRecord]] = {number: [] for number in range(partitions)}
    async with consumer_of(settings) as consumer:
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        if since_ms:
            for place, first in (await consumer.offsets_for_times(dict.fromkeys(places, since_ms))).items():
                consumer.seek(place, first.offset if first else ends[place])
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for place, messages in (await consumer.getmany(timeout_ms=200)).items():
                records[place.partition] += [message for message in messages if message.offset < ends[place]]
    return records


async def read_control(settings: Settings, topic: str, since_ms: int = 0) -> list[ConsumerRecord]:
    """Return the records of a topic with one partition, as `read_all` does.

    Raise `StackError` without a broker or the topic.
    """
    try:
        async with admin(settings) as client:
            if settings.topic(topic) not in await client.list_topics():
                raise no_topic(settings, topic)
        return (await read_all(settings, topic, since_ms))[0]
    except (KafkaError, OSError) as error:
        raise no_broker(settings, error) from None


def _created(response: Any) -> list[str]:
    created = []
    for topic, code, *rest in response.topic_errors:
        if not code:
            created.append(topic)
        elif for_code(code) is not TopicAlreadyExistsError:  # another process may have created it meanwhile
            raise StackError(f"cannot create topic {topic}: {for_code(code).__name__} {rest[0] if rest else ''}")
    return created


async def _partitions(client: AIOKafkaAdminClient, names: list[str]) -> dict[str, int]:
    """Return the number of partitions by topic. Wait until all have a leader, as new topics are not ready at once."""
    deadline = time.monotonic() + _READY_WITHIN
    while True:
        found = {topic["topic"]: topic["partitions"] for topic in await client.describe_topics(names)}
        leaders = [partition["leader"] for partitions in found.values() for partition in partitions]
        if all(found.values()) and min(leaders) >= 0:
            return {name: len(partitions) for name, partitions in found.items()}
        if time.monotonic() > deadline:
            raise StackError(f"not all topics were ready within {_READY_WITHIN:.0f} s: see the broker's log")
        await asyncio.sleep(0.05)
