"""Record keys: `exchange:symbol`, and the partition that a key belongs to.

Topics with record keys have the partitions that every Kafka client expects (`partition_of`). The workers' inputs, which
are the raw topics and `join.quotes`, have none: their partitions share out the work (`input_partition_of`).
"""

from functools import lru_cache
from zlib import crc32

from aiokafka.partitioner import murmur2

EVERY = "*"  # in the place of a symbol: all instruments of a partition
UNKNOWN = "?"  # in the place of a symbol: ingest could not identify the instrument

_USUAL = ("USDT", "USDT-PERP", "USD-PERP")  # symbols without their base, of the instruments that most assets have


def key_of(exchange: str, symbol: str) -> str:
    """Return the key of an instrument's records, in every topic."""
    return f"{exchange}:{symbol}"


def split_key(key: str) -> tuple[str, str]:
    """Return the exchange and the symbol of a key."""
    exchange, _, symbol = key.partition(":")
    return exchange, symbol


@lru_cache(maxsize=65536)
def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a record key: murmur2, like the default partitioner of every Kafka client."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


@lru_cache(maxsize=65536)
def input_partition_of(key: str, partitions: int) -> int:
    """Return the partition of a key or a symbol in the workers' inputs.

    The instruments that most assets have follow one another, and are thus in different partitions. So are BTC and ETH,
    on every exchange: whether the CRCs of two texts of equal length differ in a bit does not depend on a prefix that
    both share. Everything else is spread by its CRC. Another function would need another `VERSION` of checkpoints.
    """
    asset, _, form = key.partition("-")
    value = crc32(asset.encode()) + _USUAL.index(form) if form in _USUAL else crc32(key.encode())
    return value % partitions
