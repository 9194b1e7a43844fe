"""Real recordings give the expected events, where they are available."""

import gzip
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from msgspec.structs import astuple

from ingest.exchanges import CONNECTORS
from marketprism.captures.capture import open_capture
from schemas.feeds import FEEDS, from_exchange
from schemas.raw import encode_line
from schemas.settings import load_settings
from streams.raw_processor import RawProcessor
from tests.frames import tick

FRAMES = Path(__file__).parents[3] / "shared" / "frames"
SETTINGS = load_settings()

pytestmark = pytest.mark.skipif(not FRAMES.is_dir(), reason=f"no recordings at {FRAMES}")


def frames_of(name: str) -> Iterator[tuple[int, bytes]]:
    with gzip.open(FRAMES / name) as file:
        for row in file:
            stamp, _, frame = row.rstrip(b"\n").partition(b" ")
            yield int(stamp), frame


def counts(exchange: str, lines: Iterator[bytes]) -> Counter[str]:
    partition, found = RawProcessor(exchange, 0, SETTINGS), Counter[str]()
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
    """All trades and book updates are published without a gap or dead letter, and the book agrees with the BBO."""

    def lines() -> Iterator[bytes]:
        stamp = 0
        for stamp, frame in frames_of(name):
            yield encode_line(stamp, f"binance:{symbol}", frame)
        yield tick("binance", 0).replace(b"1790000000000000000", str(stamp + 11 * 10**9).encode())

    found = counts("binance", lines())
    assert (found["market.trades"], found["update"]) == (trades, updates)
    assert (found["compared"], found["agreed"]) == (compared, compared)
    assert found["market.gaps"] == found["dead_letters"] == 0


@pytest.mark.parametrize(
    ("feed", "name", "control", "expected"),
    [
        # From the years of checksums: each book frame's CRC32 is right.
        ("okx", "okx-v5-20220406.gz", 60, {"trades": 19, "books": 3679, "snapshot": 20, "update": 3659}),
        # Each change names the one before it. The 92 other frames are tickers, which are unsupported.
        ("deribit", "deribit-2021.gz", 1, {"books": 56, "snapshot": 10, "update": 46}),
        # Every frame is a whole book; prices have exponents.
        ("htx-spot", "htx-spot-2021.gz", 26, {"trades": 73, "books": 292, "snapshot": 292}),
    ],
)
def test_others(feed: str, name: str, control: int, expected: dict[str, int]) -> None:
    """All trades and books are published without a gap or dead letter."""
    capture = open_capture(FEEDS[feed], FRAMES / name)
    found = counts(FEEDS[feed].exchange, (encode_line(*astuple(line)) for line in capture.lines()))
    assert capture.control == control
    assert {kind: found[f"market.{kind}"] or found[kind] for kind in expected} == expected
    assert found["market.gaps"] == found["dead_letters"] == 0


def test_htx_swaps() -> None:
    """Frames of HTX's coin-margined swaps are parsed under the names of the linear ones, as both look the same."""
    found, partition = Counter[str](), RawProcessor("htx", 0, SETTINGS)
    connector = CONNECTORS["htx-linear"]()
    for offset, (stamp, frame) in enumerate(frames_of("htx-swap-2022.gz")):
        frame = frame.replace(b"-USD.", b"-USDT.")
        route = connector.route(frame)
        if route.kind == "data":
            key = f"htx:{from_exchange('htx-linear', route.symbol)}"
            found.update(topic for topic, _, _ in partition.process(offset, encode_line(stamp, key, frame)).records)
    assert (found["market.trades"], found["market.books"]) == (8, 1274)
    assert found["market.gaps"] == found["dead_letters"] == 0
