"""Consumer groups of the pipeline: who is in them, and what they were given."""

from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import GroupCoordinatorNotAvailableError

from schemas.settings import Settings
from schemas.topics import SINK_GROUP, WORKER_GROUP

GROUPS = (WORKER_GROUP, SINK_GROUP)


@dataclass(frozen=True)
class Group:
    """`partitions` is the number of partitions assigned to all `members` together."""

    name: str
    state: str
    members: int
    partitions: int

    @property
    def idle(self) -> bool:
        """Whether processes run that were given nothing to read."""
        return self.state == "Stable" and self.members > 0 and self.partitions == 0


async def describe_groups(client: AIOKafkaAdminClient, settings: Settings) -> list[Group]:
    """Describe the groups; those that never had a member have the state `Dead`."""
    try:
        # One at a time: aiokafka reads an answer about several by the schema of an older version.
        responses = [
            response for name in GROUPS for response in await client.describe_consumer_groups([settings.topic(name)])
        ]
    except GroupCoordinatorNotAvailableError:  # no group has ever been on this broker
        return []
    found = [row for response in responses for row in response.groups]
    return [Group(row[1], row[2], len(row[5]), sum(map(_partitions, row[5]))) for row in found]


def _partitions(member: tuple[str, str, str, bytes, bytes]) -> int:
    assignment = member[-1]
    return len(ConsumerProtocolMemberAssignment.decode(assignment).partitions()) if assignment else 0
