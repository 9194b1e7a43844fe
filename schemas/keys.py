"""Record keys: `exchange:symbol`, and the partition that a key belongs to."""

from functools import lru_cache

from aiokafka.partitioner import murmur2

EVERY = "*"  # in the place of a symbol: all instruments of a partition
UNKNOWN = "?"  # in the place of a symbol: ingest could not identify the instrument


def key_of(exchange: str, symbol: str) -> str:
    """Return the key of an instrument's records, in every topic."""
    return f"{exchange}:{symbol}"


def split_key(key: str) -> tuple[str, str]:
    """Return the exchange and the symbol of a key."""
    exchange, _, symbol = key.partition(":")
    return exchange, symbol


@lru_cache(maxsize=65536)
def partition_of(key: str, partitions: int) -> int:
    """Return the partition of a key: murmur2, like the default partitioner of every Kafka client."""
    return int((murmur2(key.encode()) & 0x7FFFFFFF) % partitions)
