"""Describe the pipeline's consumer groups: their members and assigned partitions."""

from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import GroupCoordinatorNotAvailableError

from schemas.settings import Settings
from schemas.topics import SINK_GROUP, WORKER_GROUP

GROUPS = (WORKER_GROUP, SINK_GROUP)


@dataclass(frozen=True)
class Member:
    """Process in a group: where it runs, and its partitions by topic."""

    client: str
    host: str
    partitions: dict[str, list[int]]


@dataclass(frozen=True)
class Group:
    """Consumer group with its members."""

    name: str
    state: str
    members: tuple[Member, ...]

    @property
    def partitions(self) -> int:
        """Number of partitions assigned to all members together."""
        return sum(len(numbers) for member in self.members for numbers in member.partitions.values())

    @property
    def idle(self) -> bool:
        """Whether the group has members, but no assigned partitions."""
        return self.state == "Stable" and bool(self.members) and self.partitions == 0


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
    return [Group(row[1], row[2], tuple(map(_member, row[5]))) for row in found]


def _member(row: tuple[str, str, str, bytes, bytes]) -> Member:
    _, client, host, _, assignment = row
    partitions: dict[str, list[int]] = {}
    if assignment:
        for place in ConsumerProtocolMemberAssignment.decode(assignment).partitions():
            partitions.setdefault(place.topic, []).append(place.partition)
    return Member(client, host.removeprefix("/"), {topic: sorted(numbers) for topic, numbers in partitions.items()})
