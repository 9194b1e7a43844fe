"""Ask the broker how large a message each topic accepts (`max.message.bytes`)."""

from collections.abc import Collection

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from schemas.settings import Settings
from schemas.topics import WORKER_GROUP
from streams.checkpoint import BOOKS_TABLE, JOIN_TABLE

_LIMIT = "max.message.bytes"


def changelogs(settings: Settings) -> list[str]:
    """Return the topics in which Faust keeps the checkpoint tables. Faust creates them."""
    return [f"{settings.topic(WORKER_GROUP)}-{table}-changelog" for table in (BOOKS_TABLE, JOIN_TABLE)]


async def message_limits(client: AIOKafkaAdminClient, topics: Collection[str]) -> dict[str, int]:
    """Return the bytes by topic. All topics must exist."""
    if not topics:
        return {}
    wanted = [ConfigResource(ConfigResourceType.TOPIC, name, configs={_LIMIT: ""}) for name in sorted(topics)]
    found = {}
    for response in await client.describe_configs(wanted):
        for _, _, _, topic, entries in response.resources:
            found[topic] = int(next(entry[1] for entry in entries if entry[0] == _LIMIT))
    return found
