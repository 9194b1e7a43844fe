"""Neither the BBO nor the book moves the join's quotes backwards."""

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from schemas.settings import load_settings
from streams.raw_processor import RawProcessor
from tests.frames import MS, binance, deribit, line, marker, okx

SETTINGS = load_settings()
KEY = "deribit:BTC-USD-PERP"
Sent = list[tuple[str, dict[str, Any]]]


def sent_to_join(partition: RawProcessor, *records: bytes, first: int = 0) -> Sent:
    """Return the book's state and the quote of every line for the join."""
    found: Sent = []
    for offset, record in enumerate(records, first):
        for lines in partition.process(offset, record).joins.values():
            entries = [entry.split(b"\t", 1) for entry in lines]
            found += [(state.decode(), orjson.loads(body)) for state, body in entries]
    return found


def summary(*records: bytes) -> list[tuple[str, str, int, str]]:
    """Return state, origin, exchange time in ms since the start and best bid of each quote for the join."""
    sent = sent_to_join(RawProcessor("deribit", 0, SETTINGS), *records)
    return [
        (state, quote["origin"], quote["timestamp"] // 1000 - MS, quote["bids"][0][0])
        for state, quote in sent
        if "bids" in quote
    ]


def book(bid: str, ms: int, change: int, previous: int | None = None) -> bytes:
    """Return a book message after which this is the only bid."""
    bids, asks = f'["new",{bid},100.0]', '[["new",12.0,100.0]]' if previous is None else "[]"
    gone = "".join(f'["delete",{price},0.0],' for price in (10.0, 10.2) if previous is not None)
    return line(KEY, deribit.book(change, f"[{gone}{bids}]", asks, previous, MS + ms))


def bbo(bid: str, ms: int) -> bytes:
    return line(KEY, deribit.quote(bid, "100.0", "12.0", "100.0", MS + ms))


def test_bbo_without_an_id_reaches_the_join() -> None:
    """Deribit's quotes have no id: only those later than the book's last change count."""
    sent = summary(bbo("9.0", 0), book("10.0", 100, 500), bbo("9.5", 90), bbo("9.7", 100), bbo("10.5", 101))
    assert sent == [("waiting", "bbo", 0, "9.0"), ("live", "book", 100, "10.0"), ("live", "bbo", 101, "10.5")]


def test_bbo_of_okx_without_an_id() -> None:
    """OKX's old frames have none either."""
    key = "okx:BTC-USDT"
    early = okx.bbo(0, "9.5", "1", "11", "1").replace(b"1790000000201", b"1790000000099")
    late = okx.bbo(0, "10.5", "1", "11", "1")  # the book's time is 1790000000100
    start = okx.book(-1, 0, [["10", "1"]], [["11", "1"]], "snapshot").replace(b',"prevSeqId":-1,"seqId":0', b"")
    partition = RawProcessor("okx", 0, SETTINGS)
    sent = sent_to_join(partition, *(line(key, frame) for frame in (start, early, late)))
    assert [quote["bids"][0][0] for _, quote in sent] == ["10", "10.5"]


def test_a_book_that_lags() -> None:
    """A change older than the BBO is published, but not sent to the join until the book has caught up."""
    records = [book("10.0", 100, 500), bbo("10.4", 200), book("10.2", 150, 501, 500), book("10.4", 200, 502, 501)]
    assert summary(*records) == [
        ("live", "book", 100, "10.0"),
        ("live", "bbo", 200, "10.4"),
        ("live", "book", 200, "10.4"),
    ]
    partition = RawProcessor("deribit", 0, SETTINGS)
    events = [record for offset, value in enumerate(records) for record in partition.process(offset, value).records]
    quotes = [orjson.loads(value) for topic, _, value in events if topic == "market.quotes"]
    assert [quote["bids"][0][0] for quote in quotes] == ["10.0", "10.4", "10.2", "10.4"]


def test_a_book_that_starts_over() -> None:
    """After a gap the join is told at once that the book is live, whatever the other channel has sent."""
    gone = marker(KEY, "disconnected", 10, reason="closed")
    sent = summary(book("10.0", 100, 500), bbo("10.4", 300), gone + book("10.2", 200, 800))
    assert sent[-1] == ("live", "book", 200, "10.2")


def test_a_clock_that_was_ahead() -> None:
    """After an exchange's clock was an hour ahead and is right again, quotes are soon sent again."""
    hour = 3_600_000
    ahead = [book("10.0", hour, 500), bbo("10.1", hour + 1)]
    back = [book("10.2", 200, 501, 500), bbo("10.3", 201), book("10.4", 300, 502, 501)]
    assert summary(*ahead, *back)[2:] == [("live", "bbo", 201, "10.3"), ("live", "book", 300, "10.4")]


def test_ids_decide_if_there_are_any() -> None:
    """A Binance book update that ends before the BBO's id is behind it."""
    key, asks = "binance:BTC-USDT", [["11", "1"]]
    sent = sent_to_join(
        RawProcessor("binance", 0, SETTINGS),
        line(key, binance.snapshot(100, [["10", "1"]], asks)),
        line(key, binance.quote(120, "10.5", "1", "11", "1")),
        line(key, binance.depth(101, 110, [["10.2", "1"]], [])),
        line(key, binance.depth(111, 120, [["10.5", "1"]], [])),
    )
    assert [(quote["sequence"], quote["bids"][0][0]) for _, quote in sent] == [
        (100, "10"),
        (120, "10.5"),
        (120, "10.5"),
    ]


STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 60)), min_size=1, max_size=25)


@given(STEPS, st.integers(0, 25))
def test_time_in_the_join_only_grows(steps: list[tuple[bool, int]], crash: int) -> None:
    """Two channels, each in order, may interleave in any way. A state restored at any point sends the same."""
    records, change, clocks = [book("10.0", 0, 500)], 500, {True: 0, False: 0}
    for is_book, millis in steps:
        clocks[is_book] += millis
        price = f"11.{len(records):03}"
        records.append(book(price, clocks[True], change + 7, change) if is_book else bbo(price, clocks[False]))
        change += 7 * is_book
    sent = sent_to_join(RawProcessor("deribit", 0, SETTINGS), *records)
    times = [quote["timestamp"] for _, quote in sent]
    assert times == sorted(times)
    first, second = RawProcessor("deribit", 0, SETTINGS), RawProcessor("deribit", 0, SETTINGS)
    before = sent_to_join(first, *records[:crash])
    for key, dump in [(key, first.dump(key)) for key in first.take_changed()]:
        second.load(key, dump)
    assert before + sent_to_join(second, *records[crash:], first=crash) == sent
