"""Frames that many projects collected: each gives events, is control, is unsupported, or is rightly rejected."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from ingest.exchanges import CONNECTORS
from schemas.errors import FrameError, SymbolError
from schemas.feeds import FEEDS, feed_of, from_exchange
from schemas.instruments import Instrument, assumed_instrument
from schemas.keys import UNKNOWN
from streams.normalize import parse

EXAMPLES = Path(__file__).parents[4] / "shared" / "examples"
NOW = 1_790_000_000_000_001  # µs of receipt

pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason=f"no examples at {EXAMPLES}")

COUNTS = {
    "binance": {
        "Trade": 36, "BookMessage": 114, "Quote": 29, "Reading": 133, "Candle": 18, "Liquidation": 8, "Ignored": 13,
        "control": 7, "rejected": 44,
    },
    "okx": {
        "Trade": 15, "BookMessage": 23, "Quote": 11, "Reading": 16, "Candle": 10, "Ignored": 21, "control": 84,
        "rejected": 81,
    },
    "htx": {
        "Trade": 6, "BookMessage": 13, "Quote": 4, "Candle": 4, "Reading": 6, "Ignored": 26, "control": 48,
        "rejected": 26,
    },
    "deribit": {
        "Trade": 4, "BookMessage": 23, "Quote": 2, "Reading": 5, "Candle": 4, "Ignored": 4, "control": 41,
        "rejected": 4,
    },
}  # fmt: skip

REJECTED = {
    "binance": {
        r"has no canonical name": 3,  # European options, which are another market, and one "X"
        r"received on the subscription of": 5,  # written by hand: the stream and the data name different instruments
        r"not a timestamp": 19,  # written by hand: times such as 1 or 123456789
        r"missing field": 12,  # written by hand: no symbol, time or interval; a leveraged token's net values
        r"malformed: Expected": 4,  # written by hand: flags and times of another type; European options' trade ids
        r"not a decimal: 'bad'": 1,  # written by hand
    },
    "okx": {
        r"v3 protocol": 35,  # retired in 2022
        r"has no canonical name": 25,  # another exchange's of the same shape: `BTCUSDT`
        # Written by hand: no action, no time, no instrument, half a ticker; funding of 2022, which had no time.
        r"missing field": 8,
        r"not a decimal: '(XYZ|x)'": 8,  # written by hand
        r"malformed: not a number": 1,  # written by hand: a candle's time
        r"malformed: a list of the wrong length": 2,  # written by hand: parts of candles
        r"neither open nor closed: 'g'": 1,  # written by hand
        r"unknown channel: 'some-channel'": 1,  # written by hand
    },
    "htx": {
        r"has no canonical name": 22,  # coin-margined contracts (`BTC-USD`, `BTC_CQ`); options, retired in 2022
        r"missing field 'open'": 4,  # written by hand: candles of nothing but their start
    },
    "deribit": {
        r"missing field 'change_id'": 1,  # written by hand
        r"missing field 'instrument_name'": 2,  # written by hand
        r"unknown book action": 1,  # written by hand: levels without an action
    },
}


def examples(exchange: str) -> Iterator[bytes]:
    for row in (EXAMPLES / f"{exchange}.jsonl").read_bytes().splitlines():
        yield orjson.loads(row)["raw"].encode()


def instrument_of(exchange: str, name: str) -> Instrument:
    """Return the instrument of a name, from the feed that has such names; a placeholder if no feed has."""
    for feed in FEEDS.values():
        try:
            if feed.exchange == exchange and feed_of(exchange, symbol := from_exchange(feed.name, name)) == feed:
                return assumed_instrument(feed.name, exchange, symbol)
        except SymbolError:
            continue
    return Instrument(exchange=exchange, feed="", symbol=UNKNOWN, exchange_symbol="", kind="spot", base="", quote="")


def outcome(exchange: str, frame: bytes) -> str:
    """Return `control`, or the types of its messages joined with `+`, or `rejected: ` with the reason."""
    feed = next(CONNECTORS[feed.name]() for feed in FEEDS.values() if feed.exchange == exchange)
    route = feed.route(frame)
    if route.kind == "control":
        return "control"
    # A REST depth snapshot does not name its instrument: ingest knows what it requested.
    symbol = route.symbol or ("BTCUSDT" if route.channel == "snapshot" else "")
    try:
        kinds = {type(event).__name__ for event in parse(frame, instrument_of(exchange, symbol), NOW)}
    except FrameError as error:
        return f"rejected: {error}"
    return "+".join(sorted(kinds))


@pytest.mark.parametrize("exchange", COUNTS)
def test_every_example_is_parsed_or_explained(exchange: str) -> None:
    """Each outcome occurs the given number of times, and every rejection has one of the explained reasons."""
    outcomes = [outcome(exchange, frame) for frame in examples(exchange)]
    assert Counter(each.partition(":")[0] for each in outcomes) == COUNTS[exchange]
    rejections = [each for each in outcomes if each.startswith("rejected")]
    explained = {why: sum(bool(re.search(why, each)) for each in rejections) for why in REJECTED[exchange]}
    assert explained == REJECTED[exchange]
    assert sum(explained.values()) == len(rejections)
