"""List every topic of the system, those of Faust's tables included, for the README and `marketprism topics`."""

from dataclasses import replace
from itertools import groupby

from schemas.topics import TOPICS, WORKER_GROUP, Topic
from streams.checkpoint import BOOKS_TABLE, JOIN_TABLE

_HOUR = 3_600_000  # ms
_DAY = 24 * _HOUR

# Faust creates these, compacted: `retention_ms` does not apply.
_CHANGELOGS = tuple(
    Topic(f"{WORKER_GROUP}-{table}-changelog", "entry of the state", "checkpoints of the workers", 0, is_internal=True)
    for table in (BOOKS_TABLE, JOIN_TABLE)
)


def topic_groups() -> list[tuple[Topic, ...]]:
    """Return all topics; those that differ in nothing but their names are in one group."""
    topics = (*TOPICS.values(), *_CHANGELOGS)
    return [tuple(group) for _, group in groupby(topics, lambda topic: replace(topic, name=""))]


def kept(topic: Topic) -> str:
    """Say how long records are kept: `7 days`."""
    if not topic.retention_ms:
        return "compacted"
    count, unit = (
        (topic.retention_ms // _DAY, "day") if topic.retention_ms >= _DAY else (topic.retention_ms // _HOUR, "hour")
    )
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def contents(topic: Topic) -> str:
    """Say what records hold, and whether they are for the system alone."""
    return f"internal: {topic.meaning}" if topic.is_internal else topic.meaning
