"""Buffers, books, checkpoint entries and join records have size limits."""

import orjson
import pytest

from schemas.limits import MAX_BUFFERED_BYTES, MAX_CHECKPOINT_ENTRY, MAX_JOIN_RECORD, MAX_MESSAGE
from schemas.settings import load_settings
from streams.arbitrage.lines import in_records
from streams.books.book import MAX_LEVELS, Side
from streams.instrument_processor import InstrumentProcessor
from streams.normalize.book_sides import levels
from streams.raw_processor import RawProcessor
from tests.frames import binance, line, okx, tick
from tests.streams.helpers import bodies, run

KEY = "binance:BTC-USDT"
OKX = "okx:BTC-USDT"


def side(best: int, step: int, count: int, amount: str = "1.23456789") -> list[list[str]]:
    return [[f"{best + step * number}.12345678", amount] for number in range(count)]


def partition(exchange: str, *records: bytes) -> RawProcessor:
    state = RawProcessor(exchange, 0, load_settings(depth=5000))
    for offset, record in enumerate(records):
        state.process(offset, record)
    return state


def waiting(updates: int) -> list[bytes]:
    """Return records of updates whose snapshot never arrives."""
    return [
        line(KEY, binance.depth(number, number, side(90_000, -1, 40), side(90_001, 1, 40)), number * 100)
        for number in range(1, updates + 1)
    ]


def test_updates_that_wait_are_bounded() -> None:
    """Of 4,096 large updates without a snapshot the latest are kept; this is reported once, and a late seed fits."""
    records = [*waiting(4_096), tick("binance", 500_000), tick("binance", 501_000)]
    state = partition("binance", *records)
    orders = state.entries[KEY].books.order_book
    assert orders.buffer.size <= MAX_BUFFERED_BYTES
    assert len(state.dump(KEY)) < MAX_CHECKPOINT_ENTRY
    state.process(5_000, line(KEY, binance.snapshot(4_090, side(90_000, -1, 100), side(90_001, 1, 100)), 502_000))
    assert (orders.state, orders.sequence) == ("live", 4_096)
    assert len([each for each in bodies(run("binance", *records), "market.status") if each["type"] == "limited"]) == 1


def test_a_full_buffer_is_reported_once_even_after_a_restart() -> None:
    """A worker that resumes from a checkpoint publishes what an undisturbed one does."""
    before = partition("binance", *waiting(4_096), tick("binance", 500_000))
    assert before.entries[KEY].books.order_book.buffer.dropped > 0
    after = RawProcessor("binance", 0, load_settings())
    after.load(KEY, before.dump(KEY))
    more = [tick("binance", 511_000), *waiting(4_200)[4_096:], tick("binance", 522_000), tick("binance", 533_000)]
    for offset, record in enumerate(more, before.offset + 1):
        topics = [(topic, value) for topic, _, value in after.process(offset, record).records]
        assert not [value for topic, value in topics if topic == "market.status" and b'"limited"' in value]


def test_a_large_book_and_a_full_buffer_are_one_entry() -> None:
    """5,000 levels per side and a full buffer fit into an entry, and are restored as they were."""
    state = partition("binance", line(KEY, binance.snapshot(1, side(90_000, -1, 5_000), side(90_001, 1, 5_000))))
    processor = state.entries[KEY]
    processor.books.order_book.refresh()
    for offset, record in enumerate(waiting(3_000), 1):
        state.process(offset, record)
    assert processor.books.order_book.buffer.size > MAX_BUFFERED_BYTES * 0.9
    entry = state.dump(KEY)
    assert len(entry) < MAX_CHECKPOINT_ENTRY
    restored = InstrumentProcessor.load(entry, load_settings())
    assert orjson.dumps(restored.books.order_book.dump()) == orjson.dumps(processor.books.order_book.dump())


def test_a_book_too_large_for_an_entry_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A book that is too large starts over, which is reported, and the pipeline goes on."""
    monkeypatch.setattr("streams.instrument_processor.MAX_CHECKPOINT_ENTRY", 3_000)
    book = okx.book(-1, 1, side(90_000, -1, 5_000), side(90_001, 1, 5_000), "snapshot")
    state = partition("okx", line(OKX, book))
    processor = state.entries[OKX]
    assert len(processor.dump()) < 3_000
    assert processor.books.order_book.state == "stale"
    out = state.process(1, tick("okx", 1_000))
    topics = [topic for topic, _, _ in out.records]
    assert {"market.gaps", "market.status", "control.ingest"} <= set(topics)


@pytest.mark.parametrize("are_bids", [True, False])
def test_a_side_drops_its_worst_levels(are_bids: bool) -> None:
    """Above the limit only the best levels remain, as on a side that is cut off there."""
    one, prices = Side(are_bids), list(range(1, MAX_LEVELS + 2))
    one.replace(levels([[str(price), "1"] for price in prices[:-1]]))
    one.update(levels([[str(prices[-1]), "1"]]))
    kept = [int(level.split(b'"')[0]) for level in one.all()]
    assert kept == sorted(prices, reverse=are_bids)[: MAX_LEVELS * 9 // 10]
    assert one.bound == kept[-1]
    worse = str(0.5 if are_bids else MAX_LEVELS + 5)
    one.update(levels([[worse, "1"]]))
    assert len(one.all()) == len(kept)


def test_join_records_are_bounded() -> None:
    """Lines are joined into as few records as possible, in order. A larger line gets a record of its own."""
    lines = [b"x" * 300_000, b"y" * 300_000, b"z" * 300_001, b"w" * 2_000_000, b"v"]
    records = list(in_records(lines, MAX_JOIN_RECORD))
    assert b"\n".join(records).split(b"\n") == lines
    assert [len(record) for record in records] == [600_001, 300_001, 2_000_000, 1]
    assert list(in_records([b"a", b"b"], MAX_JOIN_RECORD)) == [b"a\nb"]


def test_the_largest_book_fits_into_a_message() -> None:
    """A snapshot with the largest number of levels is one event, which a topic accepts."""
    book = okx.book(-1, 1, side(90_000, -1, 10_000), side(90_001, 1, 10_000), "snapshot")
    state = partition("okx", line(OKX, book))
    assert len(state.dump(OKX)) < MAX_CHECKPOINT_ENTRY
    out = state.process(1, tick("okx", 61_000))
    [event] = [value for topic, _, value in out.records if topic == "market.books"]
    assert len(event) < MAX_MESSAGE
