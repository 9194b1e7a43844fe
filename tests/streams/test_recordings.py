"""Real recordings through the pure pipeline, where they are at hand."""

import gzip
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from schemas.exchange_names import from_exchange
from schemas.raw import encode_line
from schemas.settings import load_settings
from streams.raw_partition import RawPartition
from tests.streams.frames import tick

FRAMES = Path(__file__).parents[3] / "shared" / "frames"
SETTINGS = load_settings()

pytestmark = pytest.mark.skipif(not FRAMES.is_dir(), reason=f"no recordings at {FRAMES}")


def frames_of(name: str) -> Iterator[tuple[int, bytes]]:
    with gzip.open(FRAMES / name) as file:
        for row in file:
            stamp, _, frame = row.rstrip(b"\n").partition(b" ")
            yield int(stamp), frame


def counts(exchange: str, lines: Iterator[bytes]) -> Counter[str]:
    partition, found = RawPartition(exchange, 0, SETTINGS), Counter[str]()
    for offset, value in enumerate(lines):
        for topic, _, body in partition.process(offset, value).records:
            found[topic] += 1
            event = orjson.loads(body)
            if topic == "market.books":
                found[event["type"]] += 1
            if topic == "market.quality":
                found["compared"] += event["compared"]
                found["agreed"] += event["agreed"]
    return found


@pytest.mark.parametrize(
    ("name", "symbol", "trades", "updates", "compared"),
    [
        ("binance-spot-btcusdt-20240808.gz", "BTC-USDT", 9757, 3449, 564),
        ("binance-spot-ethusdt-20240808.gz", "ETH-USDT", 6106, 3432, 577),
        ("binance-usdm-btcusdt-20240808.gz", "BTC-USDT-PERP", 21313, 6547, 629),
        ("binance-usdm-ethusdt-20240808.gz", "ETH-USDT-PERP", 14076, 6581, 551),
    ],
)
def test_binance(name: str, symbol: str, trades: int, updates: int, compared: int) -> None:
    """Every trade and book update, no gap, no dead letter, and a book that agrees with the BBO wherever they meet."""

    def lines() -> Iterator[bytes]:
        stamp = 0
        for stamp, frame in frames_of(name):
            yield encode_line(stamp, f"binance:{symbol}", frame)
        yield tick("binance", 0).replace(b"1790000000000000000", str(stamp + 11 * 10**9).encode())

    found = counts("binance", lines())
    assert (found["market.trades"], found["update"]) == (trades, updates)
    assert (found["compared"], found["agreed"]) == (compared, compared)
    assert found["market.gaps"] == found["dead_letters"] == 0


def test_okx_checksums() -> None:
    """A recording from the years of checksums: each book frame's CRC32 is right, nothing is a dead letter."""

    def lines() -> Iterator[bytes]:
        for stamp, frame in frames_of("okx-v5-20220406.gz"):
            instrument = orjson.loads(frame)["arg"]["instId"]
            yield encode_line(stamp, f"okx:{from_exchange('okx', instrument)}", frame)

    found = counts("okx", lines())
    assert found["market.books"] > 3000
    assert found["market.gaps"] == found["dead_letters"] == 0
