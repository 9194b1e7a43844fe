"""Beyond the levels of a seed, a book shows nothing, and a fresh seed is requested in time."""

import orjson
import pytest

from schemas.markers import Tick
from schemas.raw import encode_marker
from schemas.settings import load_settings
from streams.raw_processor import RawProcessor
from tests.frames import T0, binance, line, marker, tick
from tests.streams.helpers import Found, bodies

KEY = "binance:BTC-USDT"


def side(best: int, step: int, count: int = 500) -> list[list[str]]:
    return [[str(best + step * number), "1"] for number in range(count)]


def served(millis: float) -> bytes:
    """Return a tick of an ingest that answers requests."""
    return encode_marker(T0 + int(millis * 1e6), "binance:*", Tick(feeds=["binance-spot"]))


class Rig:
    """Partition that a test feeds line by line."""

    def __init__(self) -> None:
        self.partition = RawProcessor("binance", 0, load_settings(depth=400))
        self._offset = -1
        self._sequence = 100

    def feed(self, *lines: bytes) -> Found:
        self._offset += 1
        records = self.partition.process(self._offset, b"".join(lines)).records
        return [(topic, orjson.loads(value)) for topic, _, value in records]

    def update(self, bids: list[list[str]], asks: list[list[str]], millis: float) -> Found:
        self._sequence += 1
        return self.feed(line(KEY, binance.depth(self._sequence, self._sequence, bids, asks), millis))

    def seed(self, bids: list[list[str]], asks: list[list[str]], millis: float, sequence: int = 0) -> Found:
        return self.feed(line(KEY, binance.snapshot(sequence or self._sequence, bids, asks), millis))

    @property
    def state(self) -> str:
        return self.partition.entries[KEY].books.order_book.state


@pytest.fixture
def rig() -> Rig:
    """Return a live book of 500 levels per side: bids from 9999 down, asks from 10001 up to 10500."""
    rig = Rig()
    rig.feed(served(0))
    rig.seed(side(9999, -1), side(10001, 1), 0)
    rig.feed(served(1000))
    return rig


def test_levels_beyond_a_seed_are_not_shown(rig: Rig) -> None:
    """A change beyond the known levels is published as received, but is part of no snapshot or quote."""
    found = rig.update([["9000", "5"]], [["10600", "5"], ["10400", "2"]], 10)
    [book] = bodies(found, "market.books")
    assert bodies(found, "market.quotes") == []
    assert (book["bids"], book["asks"]) == ([["9000", "5"]], [["10600", "5"], ["10400", "2"]])
    whole = bodies(rig.feed(served(61_000)), "market.books")[0]
    assert (whole["type"], len(whole["bids"]), len(whole["asks"]), whole["asks"][-1][0]) == (
        "snapshot",
        500,
        500,
        "10500",
    )


def test_the_price_leaves_the_known_levels(rig: Rig) -> None:
    """The best ask could be an order at 10501, which the seed did not reach: a gap opens, with that as the cause."""
    rig.update([], [["10502", "1"]], 10)
    gone = [[str(price), "0"] for price in range(10001, 10501)]
    found = rig.update([], gone, 20)
    assert [gap["cause"] for gap in bodies(found, "market.gaps")] == ["depth"]
    assert [request["reason"] for request in bodies(found, "control.ingest")] == ["depth"]
    assert bodies(found, "market.quotes") == []
    assert rig.state == "waiting"


def test_a_seed_is_fetched_before_the_price_leaves(rig: Rig) -> None:
    """One is requested when fewer than `depth` levels are left. With it the live book is whole again, without a gap."""
    rig.update([], [[str(price), "0"] for price in range(10001, 10200)], 10)
    assert [request["reason"] for request in bodies(rig.feed(served(31_000)), "control.ingest")] == ["depth"]
    rig.update([["9998", "7"]], [], 31_100)
    stale = rig.seed(side(9999, -1), side(10200, 1), 31_200, sequence=50)  # older than the request
    assert (stale, rig.state) == ([], "live")
    found = rig.seed(side(9999, -1), side(10200, 1), 31_300, sequence=101)
    [book] = bodies(found, "market.books")
    assert (book["type"], book["sequence"], len(book["asks"]), book["bids"][1]) == ("snapshot", 102, 500, ["9998", "7"])
    assert bodies(found, "market.gaps") == []
    assert bodies(rig.feed(served(62_000)), "control.ingest") == []


def test_a_seed_that_is_ahead_of_the_stream(rig: Rig) -> None:
    """The book goes on from the seed, and drops the updates that the seed contains."""
    rig.update([], [[str(price), "0"] for price in range(10001, 10200)], 10)
    rig.feed(served(31_000))
    assert len(bodies(rig.seed(side(9999, -1), side(10200, 1), 31_300, sequence=103), "market.books")) == 1
    assert rig.update([["9998", "7"]], [], 31_400) == []
    assert rig.update([["9998", "7"]], [], 31_500) == []
    assert len(bodies(rig.update([["9998", "8"]], [], 31_600), "market.books")) == 1
    assert rig.state == "live"


def test_a_seed_that_is_not_cut_off() -> None:
    """If a side has fewer levels than the request's limit, it has no others."""
    rig = Rig()
    rig.feed(served(0))
    rig.seed(side(9999, -1, 20), side(10001, 1, 20), 0)
    rig.update([], [["10600", "5"], *([str(price), "0"] for price in range(10001, 10021))], 10)
    assert rig.state == "live"
    assert rig.partition.entries[KEY].books.order_book.book.asks.all() == [b'10600","5']


def test_a_replay_goes_on_with_the_levels_of_updates() -> None:
    """Nobody answers requests there. Beyond the seed only changed levels are known, and no snapshot is published."""
    rig = Rig()
    rig.feed(tick("binance", 0))
    rig.seed(side(9999, -1), side(10001, 1), 0)
    rig.update([], [["10502", "1"]], 10)
    found = rig.update([], [[str(price), "0"] for price in range(10001, 10501)], 20)
    assert rig.state == "live"
    assert bodies(found, "market.quotes")[0]["asks"] == [["10502", "1"]]
    assert bodies(rig.feed(tick("binance", 62_000)), "market.books") == []


def test_the_exchange_contradicts_the_book(rig: Rig) -> None:
    """A BBO that differs at the same id takes the book out of the live state until a snapshot arrives."""
    rig.update([], [], 10)
    found = rig.feed(line(KEY, binance.quote(101, "9999", "1", "10000.5", "2"), 20))
    assert [difference["type"] for difference in bodies(found, "market.quality")] == ["difference"]
    assert [gap["cause"] for gap in bodies(found, "market.gaps")] == ["quality"]
    assert [request["reason"] for request in bodies(found, "control.ingest")] == ["quality"]
    assert [len(quote["asks"]) for quote in bodies(found, "market.quotes")] == [1]
    assert rig.state == "waiting"
    assert [gap["type"] for gap in bodies(rig.seed(side(9999, -1), side(10001, 1), 30), "market.gaps")] == ["closed"]


def test_known_levels_survive_a_restart(rig: Rig) -> None:
    """A restored book has the same known levels as before."""
    rig.update([], [["10600", "5"]], 10)
    restored = RawProcessor("binance", 0, load_settings(depth=400))
    for key in rig.partition.take_changed():
        restored.load(key, rig.partition.dump(key))
    ours, theirs = restored.entries[KEY].books.order_book, rig.partition.entries[KEY].books.order_book
    assert orjson.dumps(ours.dump()) == orjson.dumps(theirs.dump())
    assert ours.book.asks.all() == theirs.book.asks.all()
    assert ours.book.asks.known_count() == 500


def test_the_request_says_where_seeds_are_cut() -> None:
    """If ingest says how many levels it requested, a side with the number of another limit is whole."""
    rig = Rig()
    rig.feed(marker(KEY, "instrument", 0, **binance.SPOT.model_dump(), seed_levels=500))
    rig.seed(side(9999, -1, 100), side(10001, 1, 500), 0)
    book = rig.partition.entries[KEY].books.order_book.book
    assert (book.bids.is_cut, book.asks.is_cut) == (False, True)
