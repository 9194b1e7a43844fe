"""The tables of what is expected: they are complete, and real frames are as they say."""

import gzip
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import orjson
import pytest

from ingest.exchanges import CONNECTORS
from marketprism.probe.cell import FALLBACK, SNAPSHOT
from marketprism.probe.expected import EXPECTED, shapes_of
from marketprism.probe.shape import Findings, Shape, compare
from schemas.channels import family_of
from schemas.feeds import FEEDS

SHARED = Path(__file__).parents[3] / "shared"
EXAMPLES, FRAMES = SHARED / "examples", SHARED / "frames"
CONNECTED = {name: connector() for name, connector in CONNECTORS.items()}


@pytest.mark.parametrize("feed", FEEDS)
def test_complete(feed: str) -> None:
    """Every channel, variant, poll and other request of a feed has an entry, and nothing else has."""
    connector = CONNECTORS[feed]
    requests = {FALLBACK} if connector.snapshots == "stream" else {FALLBACK, SNAPSHOT}
    names = requests.union(connector.channels, connector.polls)
    variants = {variant.name for row in connector.channels.values() for variant in row.variants}
    assert set(EXPECTED[feed]) == {family_of(name) for name in names} | variants


def shapes_of_frame(feed: str, frame: bytes) -> tuple[Shape, ...]:
    """Return the shapes of a frame's channel and of its variants; none if it is of no channel of ours."""
    connector = CONNECTED[feed]
    route = connector.route(frame)
    if route.kind != "data" or family_of(route.channel) not in EXPECTED[feed]:
        return ()
    variants = connector.channels[route.channel].variants if route.channel in connector.channels else ()
    return (*shapes_of(feed, route.channel), *(shape for each in variants for shape in EXPECTED[feed][each.name]))


def nearest(feeds: list[str], frame: bytes) -> Findings | None:
    """Return in what a frame differs from what the likeliest of these feeds sends; None if it is of no channel."""
    value = orjson.loads(frame)
    if feeds[0].startswith("binance") and not {"stream", "lastUpdateId"} & set(value):
        value = {"stream": "", "data": value}  # recorded without the combined wrapper
    found = [compare(shapes, value) for feed in feeds if (shapes := shapes_of_frame(feed, frame))]
    return min(found, key=len, default=None)


# Projects that have recorded frames; others have written them by hand, or copied them from documents.
RECORDERS = ("crypto-msg-parser", "unicorn-fy", "Binance-Data-Processor", "nkaz001/hftbacktest", "cryptofeed")
OF_OTHERS = (b'"instType":"sp"', b'"instType":"mc"', b'"s":"BTC_USDT"')
"""What frames of Bitget and Gate have, which look like OKX's and Binance's."""
# What frames of earlier years had or lacked.
KNOWN = {
    "binance": {"data.a", "data.b", "data.i", "_E"},  # order ids until 2024; index prices since 2020; of the recorder
    "okx": {
        "data[].prevSeqId", "data[].seqId",  # since 2022
        "data[].count", "data[].nextFundingTime", "data[].ts",  # since 2023
        "data[][] has 7 values instead of 9",  # until 2022
    },
    "htx": {"tick.mrid", "tick.trade_turnover"},  # of coin-margined contracts, which are not ours
    "deribit": set[str](),
}  # fmt: skip


def examples(exchange: str) -> Iterator[tuple[list[str], bytes]]:
    """Yield the recorded frames of an exchange, with the feeds that may have sent them."""
    feeds = [feed.name for feed in FEEDS.values() if feed.exchange == exchange]
    for line in (EXAMPLES / f"{exchange}.jsonl").read_text().splitlines():
        example = orjson.loads(line)
        frame = example["raw"].encode()
        is_ours = not any(mark in frame for mark in OF_OTHERS)
        if is_ours and example["source"].endswith(RECORDERS) and "pretty_printed" not in example["tags"]:
            yield (feeds[1:] if example["channel"].startswith("fut:") else feeds), frame


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason=f"no examples at {EXAMPLES}")
@pytest.mark.parametrize("exchange", KNOWN)
def test_examples(exchange: str) -> None:
    """Real frames have no unknown fields or values and lack none, except what is known of earlier years."""
    compared = 0
    for feeds, frame in examples(exchange):
        if (findings := nearest(feeds, frame)) is not None:
            compared += 1
            assert findings.all() <= KNOWN[exchange], frame
    assert compared > 10


@pytest.mark.skipif(not FRAMES.is_dir(), reason=f"no recordings at {FRAMES}")
@pytest.mark.parametrize(
    ("name", "feed"),
    [
        ("binance-spot-btcusdt-20240808", "binance-spot"),
        ("binance-usdm-ethusdt-20240808", "binance-usdm"),
        ("deribit-2021", "deribit"),
        ("htx-spot-2021", "htx-spot"),
        ("htx-swap-2022", "htx-linear"),
        ("okx-v5-20220406", "okx"),
    ],
)
def test_recordings(name: str, feed: str) -> None:
    """Recorded frames are as expected."""
    compared = 0
    with gzip.open(FRAMES / f"{name}.gz") as file:
        for row in islice(file, 500):
            frame = row.rstrip(b"\n").partition(b" ")[2]
            if (findings := nearest([feed], frame)) is not None:
                compared += 1
                assert findings.all() <= KNOWN[FEEDS[feed].exchange], frame
    assert compared > 100
