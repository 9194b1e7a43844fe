"""Under dropped, duplicated and reordered updates, a book that is live is right."""

from dataclasses import dataclass, field

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.books.book import Book
from streams.books.continuity import RULES, binance_spot, htx_linear
from streams.books.order_book import Broken, OrderBook
from streams.levels import Levels
from streams.normalize.book_sides import levels
from streams.normalize.messages import BookMessage, CheckedLevels

FEEDS = sorted(RULES)
SEEDED = [feed for feed in FEEDS if RULES[feed].cut_at]
STEPS = st.lists(st.sampled_from(["keep", "keep", "keep", "drop", "twice", "swap"]), min_size=1, max_size=40)


@dataclass
class Exchange:
    """True book that changes one bid level per step, and remembers its levels at each sequence."""

    feed: str
    sequence: int = 100
    bids: dict[int, str] = field(default_factory=lambda: {900: "1", 899: "2"})
    history: dict[int, Levels] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.history[self.sequence] = self.levels()

    def side(self) -> CheckedLevels:
        return levels([[str(price), self.bids[price]] for price in sorted(self.bids, reverse=True)])

    def levels(self) -> Levels:
        return self.side().levels

    def step(self, number: int) -> BookMessage:
        stride = 1 if RULES[self.feed].judge is htx_linear else 1 + number % 3
        previous, self.sequence = self.sequence, self.sequence + stride
        price, amount = 880 + number * 7 % 20, str(number % 4)
        if amount == "0":
            self.bids.pop(price, None)
        else:
            self.bids[price] = amount
        self.history[self.sequence] = self.levels()
        change = levels([[str(price), amount]])
        named = -1 if RULES[self.feed].judge is binance_spot else previous
        return BookMessage("update", 0, previous + 1, self.sequence, named, change, levels([]))

    def snapshot(self) -> BookMessage:
        kind = "seed" if self.feed in SEEDED else "snapshot"
        bids, asks = self.side(), levels([["1000", "1"]])
        return BookMessage(kind, 0, self.sequence, self.sequence, -1, bids, asks)  # type: ignore[arg-type]


def damaged(updates: list[BookMessage], steps: list[str]) -> list[BookMessage]:
    """Return the updates as a faulty connection would deliver them."""
    out: list[BookMessage] = []
    for update, step in zip(updates, steps, strict=True):
        if step == "swap" and out:
            out.insert(-1, update)
        elif step != "drop":
            out.extend([update] * (2 if step == "twice" else 1))
    return out


@pytest.mark.parametrize("feed", FEEDS)
@given(steps=STEPS)
def test_a_live_book_is_the_true_book(feed: str, steps: list[str]) -> None:
    """Under any damage, a live book equals the exchange's at its sequence, and a fresh snapshot recovers it."""
    exchange = Exchange(feed)
    order_book = OrderBook(feed)
    order_book.take(exchange.snapshot())
    updates = [exchange.step(number) for number in range(len(steps))]
    for update in damaged(updates, steps):
        order_book.take(update)
        if order_book.state == "live":
            assert order_book.book.bids.all() == exchange.history[order_book.sequence]
    order_book.invalidate()
    order_book.take(exchange.snapshot())
    assert order_book.state == "live"
    assert order_book.book.bids.all() == exchange.levels()


@pytest.mark.parametrize("feed", FEEDS)
@given(steps=st.integers(2, 30), drop=st.integers(0, 28))
def test_every_lost_update_is_noticed(feed: str, steps: int, drop: int) -> None:
    """Losing any one update but the last breaks the book at the next."""
    exchange = Exchange(feed)
    order_book = OrderBook(feed)
    order_book.take(exchange.snapshot())
    updates = [exchange.step(number) for number in range(steps)]
    lost = drop % (steps - 1)
    outcomes = [order_book.take(update) for update in updates[:lost] + updates[lost + 1 :]]
    broken = [outcome for outcome in outcomes if isinstance(outcome, Broken)]
    assert [outcome.cause for outcome in broken] == ["sequence"]
    assert order_book.state == "waiting"


@pytest.mark.parametrize("feed", SEEDED)
def test_seed_joins_the_buffer(feed: str) -> None:
    """A seed from the middle of buffered updates is followed by the newer ones; the older ones are dropped."""
    exchange = Exchange(feed)
    order_book = OrderBook(feed)
    early = [exchange.step(number) for number in range(5)]
    seed = exchange.snapshot()
    late = [exchange.step(number) for number in range(5, 9)]
    for update in early + late:
        assert order_book.take(update) == []
    applied = order_book.take(seed)
    assert isinstance(applied, list)
    assert applied[0] == seed
    assert applied[-4:] == late  # futures also apply the update that ends at the seed's id: amounts are absolute
    assert order_book.book.bids.all() == exchange.levels()


@pytest.mark.parametrize("feed", SEEDED)
def test_seed_older_than_the_buffer_is_rejected(feed: str) -> None:
    """A seed from before the first buffered update is not enough, and the buffer is kept for the next one."""
    exchange = Exchange(feed)
    order_book = OrderBook(feed)
    seed = exchange.snapshot()
    exchange.step(0)
    exchange.step(1)
    order_book.take(exchange.step(2))
    outcome = order_book.take(seed)
    assert isinstance(outcome, Broken)
    assert outcome.cause == "snapshot_too_old"
    order_book.take(exchange.snapshot())
    assert order_book.state == "live"


def test_a_late_seed_does_not_touch_a_live_book() -> None:
    """A second response to a snapshot request changes nothing."""
    exchange = Exchange("binance-spot")
    order_book = OrderBook("binance-spot")
    seed = exchange.snapshot()
    order_book.take(seed)
    order_book.take(exchange.step(1))
    assert order_book.take(seed) == []
    assert order_book.book.bids.all() == exchange.levels()


def test_silence_is_not_loss() -> None:
    """The next update makes a stale book live again, but not one that was invalidated."""
    exchange = Exchange("okx")
    order_book = OrderBook("okx")
    order_book.take(exchange.snapshot())
    order_book.mark_stale()
    states = [str(order_book.state)]
    order_book.take(exchange.step(1))
    states.append(order_book.state)
    order_book.invalidate()
    order_book.take(exchange.step(2))
    states.append(order_book.state)
    assert states == ["stale", "live", "stale"]


def test_crossed_book_breaks() -> None:
    """An update that crosses the book takes it out of the live state."""
    exchange = Exchange("binance-spot")
    order_book = OrderBook("binance-spot")
    order_book.take(exchange.snapshot())
    outcome = order_book.take(BookMessage("update", 0, 101, 101, -1, levels([["1001", "1"]]), levels([])))
    assert isinstance(outcome, Broken)
    assert outcome.cause == "crossed"


@given(steps=STEPS, at=st.integers(0, 40))
def test_checkpoint_holds_everything(steps: list[str], at: int) -> None:
    """A book restored from a checkpoint at any point goes on exactly as one that was not."""
    exchange = Exchange("binance-usdm")
    first, second = OrderBook("binance-usdm"), OrderBook("binance-usdm")
    stream = [exchange.snapshot(), *damaged([exchange.step(number) for number in range(len(steps))], steps)]
    for number, message in enumerate(stream):
        if number == at:
            restored = OrderBook("binance-usdm")
            restored.load(orjson.loads(_dump_of(second)))
            second = restored
        assert first.take(message) == second.take(message)
        assert _dump_of(first) == _dump_of(second)


def _dump_of(order_book: OrderBook) -> bytes:
    return orjson.dumps(order_book.dump())


def test_books_start_empty() -> None:
    """A new book is empty and waits for a snapshot."""
    order_book = OrderBook("okx")
    assert (order_book.state, order_book.book.bids.all()) == ("waiting", [])
    assert isinstance(order_book.book, Book)


@pytest.mark.parametrize("feed", FEEDS)
def test_ids_that_start_over(feed: str) -> None:
    """Old ids with a clearly later time are a restart, not duplicates. The next snapshot begins the new numbering."""
    exchange = Exchange(feed)
    order_book = OrderBook(feed)
    order_book.take(exchange.snapshot())
    applied = [replace(exchange.step(number), timestamp=number * 1_000_000) for number in range(1, 4)]
    for update in (*applied, *applied, replace(applied[-1], timestamp=3_900_000)):
        assert not isinstance(order_book.take(update), Broken)
    exchange.sequence = 3
    restarted = replace(exchange.step(5), timestamp=60_000_000)
    outcome = order_book.take(restarted)
    assert isinstance(outcome, Broken)
    # If ids only chain, a restart may look like any other gap.
    assert outcome.cause in ("restarted", "sequence")
    order_book.take(exchange.snapshot())
    order_book.take(replace(exchange.step(6), timestamp=61_000_000))
    assert order_book.state == "live"
    assert order_book.book.bids.all() == exchange.levels()


@pytest.mark.parametrize("kind", ["snapshot", "seed"])
@pytest.mark.parametrize("feed", FEEDS)
def test_ids_that_start_over_right_after_a_snapshot(feed: str, kind: str) -> None:
    """A restart is detected by the time of a snapshot in the stream, or 10 s after a fetched one."""
    exchange = Exchange(feed)
    exchange.sequence = 1000
    order_book = OrderBook(feed)
    order_book.take(replace(exchange.snapshot(), kind=kind, timestamp=50_000_000))
    exchange.sequence = 3
    outcomes = [order_book.take(replace(exchange.step(n), timestamp=50_500_000 + n * 1_000_000)) for n in range(12)]
    broken = [outcome for outcome in outcomes if isinstance(outcome, Broken)]
    assert len(broken) == 1
    assert broken[0].cause in ("restarted", "sequence")


@pytest.mark.parametrize("feed", FEEDS)
@given(late=st.integers(0, 12), joined=st.integers(0, 20))
def test_two_interleaved_copies_are_one(feed: str, late: int, joined: int) -> None:
    """A second connection's updates, some later than the first one's, change nothing: duplicates are dropped."""
    exchange = Exchange(feed)
    order_book = OrderBook(feed)
    order_book.take(exchange.snapshot())
    updates = [replace(exchange.step(number), timestamp=number * 100_000) for number in range(40)]
    arrivals = [(number, 0, update) for number, update in enumerate(updates)]
    # Less than a second late: a later copy could be a restart.
    arrivals += [(number + min(late, 9), 1, update) for number, update in enumerate(updates) if number >= joined]
    applied: list[BookMessage] = []
    for _, _, update in sorted(arrivals, key=lambda arrival: arrival[:2]):
        outcome = order_book.take(update)
        assert isinstance(outcome, list)
        applied += outcome
    assert applied == updates
