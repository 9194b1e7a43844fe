"""The topic table: every topic with its key, partitions and retention. Topics are created only from it.

All partitioned topics have the same number of partitions (setting `partitions`), as Faust assigns the raw and join
partitions of the same number together. `schemas/keys.py` says which partition a record belongs to.
"""

from dataclasses import dataclass

from schemas.events import EVENTS, DeadLetter, Signal
from schemas.feeds import EXCHANGES
from schemas.limits import MAX_MESSAGE

_HOUR = 3_600_000
_DAY = 24 * _HOUR
_SEGMENT_MS = 7 * _DAY  # Kafka's default; it deletes nothing of a segment that is still written to

SIGNALS = Signal.topic_name
DEAD_LETTERS = DeadLetter.topic_name
CONTROL = "control.ingest"
JOB_RUNS = "control.jobs"
CONNECTIONS = "control.connections"
JOIN = "join.quotes"
STORED_TOPICS = tuple(EVENTS)

# Consumer groups. The setting `topic_prefix` comes before them, as before topics.
WORKER_GROUP = "marketprism-streams"
SINK_GROUP = "marketprism-sink"


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `key` describes the record key; `partitions` 0 means the setting.

    `is_internal`: its records are for the system alone, and may change with any version.
    """

    name: str
    key: str
    meaning: str
    retention_ms: int
    partitions: int = 0
    is_internal: bool = False

    def configuration(self) -> dict[str, str]:
        """Return the topic's configuration in Kafka's words."""
        # The broker's time, not the frames': a replay of last year must not be old enough to be deleted at once.
        fixed = {"cleanup.policy": "delete", "message.timestamp.type": "LogAppendTime"}
        retention = {"retention.ms": str(self.retention_ms), "segment.ms": str(min(self.retention_ms, _SEGMENT_MS))}
        return {**retention, "max.message.bytes": str(MAX_MESSAGE), **fixed}


def raw_topic(exchange: str) -> str:
    """Return the name of an exchange's raw topic."""
    return f"raw.{exchange}"


_RAW_MEANING = "frames as received, in small batches: `<receipt ns>\\t<exchange>:<symbol>\\t<frame>` lines"

TOPICS: dict[str, Topic] = {
    topic.name: topic
    for topic in (
        *(Topic(raw_topic(name), "none (partition by exchange:symbol)", _RAW_MEANING, 2 * _DAY) for name in EXCHANGES),
        *(
            Topic(event.topic_name, event.topic_key, event.meaning, event.retention_days * _DAY)
            for event in EVENTS.values()
        ),
        Topic(JOIN, "none (partition by symbol)", "quotes by symbol, in batches", 6 * _HOUR, is_internal=True),
        Topic(
            CONTROL,
            "exchange:symbol, reconnect, refresh or move",
            "requests to ingest: fetch a snapshot, renew connections, read the listings, move an instrument",
            _HOUR,
            partitions=1,
            is_internal=True,
        ),
        Topic(JOB_RUNS, "job", "runs of the scheduled jobs", 30 * _DAY, partitions=1, is_internal=True),
        Topic(
            CONNECTIONS,
            "ingest and feed",
            "hosts and connections of the feeds, every 5 s",
            _HOUR,
            partitions=1,
            is_internal=True,
        ),
    )
}
