"""The topic table made real: what is missing is created, what is otherwise than the table says is told."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from schemas.errors import StackError
from schemas.limits import MAX_MESSAGE
from schemas.settings import Settings
from schemas.topics import TOPICS
from streams.topic_limits import changelogs, message_limits

log = structlog.get_logger(__name__)

_READY_WITHIN = 15.0  # s; some tens of milliseconds as a rule


@asynccontextmanager
async def admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """A client for topics and their configuration; `StackError` when no broker answers."""
    client = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    try:
        await client.start()
        yield client
    except (KafkaError, OSError) as error:
        raise StackError(f"no broker answers at {settings.kafka} (setting `kafka`): {error}") from None
    finally:
        await client.close()


async def create_topics(settings: Settings) -> list[str]:
    """Create what is missing; returns the names. `StackError` where a topic has another number of partitions."""
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
                    f"topic {name} has {found} partitions, the settings say {wanted[name]}: "
                    "set `partitions` to what is there, or use another `topic_prefix`"
                )
    return created


async def _raise_limits(client: AIOKafkaAdminClient, settings: Settings, existing: set[str]) -> None:
    """Let topics of an earlier version take messages as large as ours may be."""
    ours = {settings.topic(topic.name): topic.configuration() for topic in TOPICS.values()}
    names = [name for name in (*ours, *changelogs(settings)) if name in existing]
    for name, limit in (await message_limits(client, names)).items():
        if limit < MAX_MESSAGE:
            config = ours.get(name, {"cleanup.policy": "compact", "max.message.bytes": str(MAX_MESSAGE)})
            await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs=config)])
            log.info("topic takes larger messages now", topic=name, bytes=MAX_MESSAGE, before=limit)


async def topic_ends(settings: Settings) -> dict[str, list[int]]:
    """The end offset of each partition, by the table's topic names; a topic that does not exist is left out."""
    async with admin(settings) as client:
        existing = set(await client.list_topics())
        names = {settings.topic(name): name for name in TOPICS if settings.topic(name) in existing}
        counts = await _partitions(client, list(names)) if names else {}
    if not counts:
        return {}
    wanted = {full: [TopicPartition(full, number) for number in range(count)] for full, count in counts.items()}
    async with AIOKafkaConsumer(bootstrap_servers=settings.kafka) as consumer:
        ends = await consumer.end_offsets([one for several in wanted.values() for one in several])
    return {name: [ends[one] for one in wanted[full]] for full, name in names.items()}


def _created(response: Any) -> list[str]:
    created = []
    for topic, code, *rest in response.topic_errors:
        if not code:
            created.append(topic)
        elif for_code(code) is not TopicAlreadyExistsError:  # another process may have been quicker
            raise StackError(f"topic {topic} cannot be created: {for_code(code).__name__} {rest[0] if rest else ''}")
    return created


async def _partitions(client: AIOKafkaAdminClient, names: list[str]) -> dict[str, int]:
    """Partitions by topic, once all have a leader: a topic is there a moment after it was created, not at once."""
    deadline = time.monotonic() + _READY_WITHIN
    while True:
        found = {topic["topic"]: topic["partitions"] for topic in await client.describe_topics(names)}
        leaders = [partition["leader"] for partitions in found.values() for partition in partitions]
        if all(found.values()) and min(leaders) >= 0:
            return {name: len(partitions) for name, partitions in found.items()}
        if time.monotonic() > deadline:
            raise StackError(f"the broker has not made all topics ready within {_READY_WITHIN:.0f} s: see its log")
        await asyncio.sleep(0.05)
