"""The topic table made real: what is missing is created, and what is otherwise than the table says is told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import stamina
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from schemas.errors import StackError
from schemas.settings import Settings
from schemas.topics import TOPICS


@asynccontextmanager
async def admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    try:
        await client.start()
    except (KafkaError, OSError) as error:
        raise StackError(f"no broker answers at {settings.kafka} (setting `kafka`): {error}") from None
    try:
        yield client
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
        for name, found in (await _partitions(client, list(wanted))).items():
            if found != wanted[name]:
                raise StackError(
                    f"topic {name} has {found} partitions, the settings say {wanted[name]}: "
                    "set `partitions` to what is there, or use another `topic_prefix`"
                )
    return created


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
    async for attempt in stamina.retry_context(on=_NotReady, attempts=100, timeout=15, wait_initial=0.02, wait_max=0.2):
        with attempt:
            found = {topic["topic"]: topic["partitions"] for topic in await client.describe_topics(names)}
            leaders = [partition["leader"] for partitions in found.values() for partition in partitions]
            if not all(found.values()) or min(leaders) < 0:
                raise _NotReady("the broker has not made all topics ready")
    return {name: len(partitions) for name, partitions in found.items()}


class _NotReady(StackError):
    pass
