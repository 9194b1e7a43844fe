"""The topic table: every topic, its key, partitions, retention. Topics are created from it and from nowhere else.

All partitioned topics have the same number of partitions (setting `partitions`), so that an instrument's raw
record and its events share a partition number, and Faust assigns raw and join partitions of one number together.
"""

from dataclasses import dataclass

from schemas.feeds import EXCHANGES
from schemas.limits import MAX_MESSAGE

_HOUR = 3_600_000
_DAY = 24 * _HOUR

MARKET_TOPICS = ("market.trades", "market.books", "market.quotes", "market.gaps", "market.quality", "market.status")
SIGNALS = "signals.arbitrage"
DEAD_LETTERS = "dead_letters"
CONTROL = "control.ingest"
JOIN = "join.quotes"
STORED_TOPICS = (*MARKET_TOPICS, SIGNALS, DEAD_LETTERS)

# Consumer groups; like topics, the setting `topic_prefix` goes before them.
WORKER_GROUP = "marketprism-streams"
SINK_GROUP = "marketprism-sink"


@dataclass(frozen=True, slots=True)
class Topic:
    """`key` describes the record key; `partitions` 0 means the setting; `retention_ms` -1 means for ever."""

    name: str
    key: str
    meaning: str
    retention_ms: int
    partitions: int = 0

    def configuration(self) -> dict[str, str]:
        # The broker's time, not the frames': a replay of last year must not be old enough to be deleted at once.
        fixed = {"cleanup.policy": "delete", "message.timestamp.type": "LogAppendTime"}
        return {"retention.ms": str(self.retention_ms), "max.message.bytes": str(MAX_MESSAGE), **fixed}


def raw_topic(exchange: str) -> str:
    return f"raw.{exchange}"


TOPICS: dict[str, Topic] = {
    topic.name: topic
    for topic in (
        *(
            Topic(raw_topic(name), "none (partition = murmur2 of exchange:symbol)", "raw records", 2 * _DAY)
            for name in EXCHANGES
        ),
        Topic("market.trades", "exchange:symbol", "trades", 7 * _DAY),
        Topic("market.books", "exchange:symbol", "L2 snapshots and updates", 2 * _DAY),
        Topic("market.quotes", "exchange:symbol", "top of book, from the exchange and from the book", 2 * _DAY),
        Topic("market.gaps", "exchange:symbol", "what was missed, opened and closed", 30 * _DAY),
        Topic("market.quality", "exchange:symbol", "truth check of books against the exchange's BBO", 30 * _DAY),
        Topic("market.status", "exchange:symbol", "data age, latency, connections, clocks", 30 * _DAY),
        Topic(SIGNALS, "symbol", "arbitrage opportunities: opened, updated, closed", 30 * _DAY),
        Topic(DEAD_LETTERS, "exchange:symbol", "what could not be understood", 30 * _DAY),
        Topic(JOIN, "none (partition = murmur2 of symbol)", "internal: quotes by symbol, in batches", 6 * _HOUR),
        Topic(CONTROL, "exchange:symbol", "requests to ingest: fetch this snapshot again", _HOUR, partitions=1),
    )
}  # fmt: skip
