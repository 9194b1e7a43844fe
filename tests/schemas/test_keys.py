"""A key's partition never changes. Those of the workers' inputs share out the work, whichever half a worker has."""

import random
from collections import Counter
from collections.abc import Iterable
from itertools import product
from string import ascii_uppercase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketprism.simulator.market.listings import listings_of
from schemas.feeds import FEEDS
from schemas.keys import input_partition_of, key_of, partition_of
from schemas.settings import Settings

SYMBOLS: tuple[str, ...] = Settings.model_fields["symbols"].default
INSTRUMENTS = [
    key_of(feed.exchange, listing.symbol)
    for feed in FEEDS.values()
    for listing in listings_of(feed.name)
    if listing.symbol in SYMBOLS
]
# Of 4, 6 and 16 partitions. Raw topics and checkpoints would have to be emptied if any of these changed.
KNOWN = {
    "BTC-USDT": (2, 2, 6),
    "BTC-USDT-PERP": (3, 3, 7),
    "BTC-USD-PERP": (0, 4, 8),
    "ETH-USDT": (3, 5, 11),
    "BTC-USD-261225-76000-C": (3, 3, 7),
    "binance:BTC-USDT": (0, 2, 12),
    "okx:1000SHIB-USDT-PERP": (1, 1, 5),
    "deribit:BTC": (1, 5, 1),
    "htx:?": (2, 4, 6),
}


def test_record_keys_have_the_partitions_of_every_kafka_client() -> None:
    """Partitions are the known murmur2 values of the Java client's test suite, positive part, modulo."""
    assert partition_of(b"21", 1000) == (-973932308 & 0x7FFFFFFF) % 1000
    assert partition_of(b"foobar", 1000) == (-790332482 & 0x7FFFFFFF) % 1000


@pytest.mark.parametrize("key", KNOWN)
def test_input_partitions_never_change(key: str) -> None:
    """Every version must compute the same partitions."""
    assert tuple(input_partition_of(key, partitions) for partitions in (4, 6, 16)) == KNOWN[key]


@given(st.text(), st.integers(1, 1024))
def test_every_text_has_an_input_partition(key: str, partitions: int) -> None:
    """Any key has one of the partitions."""
    assert 0 <= input_partition_of(key, partitions) < partitions


@pytest.mark.parametrize("partitions", range(2, 9))
def test_default_symbols_are_spread(partitions: int) -> None:
    """No partition of the join has more of the six default symbols than it must, or two."""
    assert max(_counts(SYMBOLS, partitions)) <= max(2, -(-len(SYMBOLS) // partitions))


@pytest.mark.parametrize("partitions", [2, 4, 6, 8])
@pytest.mark.parametrize("keys", [SYMBOLS, INSTRUMENTS], ids=["symbols", "instruments"])
def test_two_workers_share_the_defaults(keys: list[str], partitions: int) -> None:
    """Whether a worker has one half of the partitions or every second one: it has about half of the instruments."""
    counts = _counts(keys, partitions)
    for part in (counts[: partitions // 2], counts[::2]):
        assert 0.33 <= sum(part) / len(keys) <= 0.67


@pytest.mark.parametrize("exchange", sorted({key.partition(":")[0] for key in INSTRUMENTS}))
def test_two_workers_share_each_exchange(exchange: str) -> None:
    """Of one exchange's instruments alone, every second partition has half as well."""
    keys = [key for key in INSTRUMENTS if key.startswith(exchange)]
    assert sum(_counts(keys, 4)[::2]) * 2 == len(keys)


@pytest.mark.parametrize("partitions", [2, 3, 4, 6, 8, 12, 16])
@pytest.mark.parametrize("prefix", ["", "okx:"])
def test_many_symbols_are_spread_evenly(prefix: str, partitions: int) -> None:
    """By the chi-square test, several families of 500 symbols are at least as even as chance would make them."""
    chance = random.Random(1)
    coins = {"".join(chance.choices(ascii_uppercase, k=chance.randint(3, 5))) for _ in range(250)}
    pairs = [f"{coin}-{form}" for coin in coins for form in ("USDT", "USDT-PERP")]
    futures = [f"{coin}-USDT-{expiry}" for coin in sorted(coins)[:100] for expiry in (261225, 270326, 270625)]
    options = [f"BTC-USD-261225-{strike}-{kind}" for strike, kind in product(range(40_000, 165_000, 500), "CP")]
    for symbols in (pairs, futures, options):
        counts, expected = _counts([prefix + symbol for symbol in symbols], partitions), len(symbols) / partitions
        chi_square = sum((count - expected) ** 2 / expected for count in counts)
        assert chi_square < partitions - 1 + 3 * (2 * (partitions - 1)) ** 0.5  # the mean and three deviations


def _counts(keys: Iterable[str], partitions: int) -> list[int]:
    """Return how many of the keys each partition has."""
    counts = Counter(input_partition_of(key, partitions) for key in keys)
    return [counts[number] for number in range(partitions)]
