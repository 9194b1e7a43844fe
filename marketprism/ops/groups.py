"""Describe the pipeline's consumer groups: their members and assigned partitions."""

from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import GroupCoordinatorNotAvailableError

from schemas.settings import Settings
from schemas.topics import SINK_GROUP, WORKER_GROUP

GROUPS = (WORKER_GROUP, SINK_GROUP)


@dataclass(frozen=True)
class Group:
    """Consumer group. `partitions` counts the partitions assigned to all `members` together."""

    name: str
    state: str
    members: int
    partitions: int

    @property
    def idle(self) -> bool:
        """Whether the group has members, but no assigned partitions."""
        return self.state == "Stable" and self.members > 0 and self.partitions == 0


async def describe_groups(client: AIOKafkaAdminClient, settings: Settings) -> list[Group]:
    """Return all groups. Those that never had a member have the state `Dead`."""
    try:
        # One at a time, as aiokafka parses a response about several groups by the schema of an older version.
        responses = [
            response for name in GROUPS for response in await client.describe_consumer_groups([settings.topic(name)])
        ]
    except GroupCoordinatorNotAvailableError:  # this broker never had a group
        return []
    found = [row for response in responses for row in response.groups]
    return [Group(row[1], row[2], len(row[5]), sum(map(_partitions, row[5]))) for row in found]


def _partitions(member: tuple[str, str, str, bytes, bytes]) -> int:
    assignment = member[-1]
    return len(ConsumerProtocolMemberAssignment.decode(assignment).partitions()) if assignment else 0
