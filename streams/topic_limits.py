"""How large a message each topic takes, `max.message.bytes`, as the broker has it."""

from collections.abc import Collection

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from schemas.settings import Settings
from schemas.topics import WORKER_GROUP

TABLES = ("books", "join")  # of the workers' checkpoints
_LIMIT = "max.message.bytes"


def changelogs(settings: Settings) -> list[str]:
    """The topics that Faust keeps the tables in; it creates them itself."""
    return [f"{settings.topic(WORKER_GROUP)}-{table}-changelog" for table in TABLES]


async def message_limits(client: AIOKafkaAdminClient, topics: Collection[str]) -> dict[str, int]:
    """Bytes by topic, of topics that exist."""
    if not topics:
        return {}
    wanted = [ConfigResource(ConfigResourceType.TOPIC, name, configs={_LIMIT: ""}) for name in sorted(topics)]
    found = {}
    for response in await client.describe_configs(wanted):
        for _, _, _, topic, entries in response.resources:
            found[topic] = int(next(entry[1] for entry in entries if entry[0] == _LIMIT))
    return found
