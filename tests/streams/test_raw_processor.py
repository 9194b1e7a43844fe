"""Raw records become events: books, gaps, dead letters. The output is deterministic, also over checkpoints."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.settings import load_settings
from streams.output import Record
from streams.raw_processor import RawProcessor
from tests.frames import binance, dumps, line, marker, okx, tick
from tests.streams.helpers import bodies, run

SETTINGS = load_settings()
KEY = "binance:BTC-USDT"
BID, ASK = [["10", "1"]], [["11", "1"]]


def live() -> bytes:
    """Return records after which a spot book is live."""
    return line(KEY, binance.depth(100, 101, [], [])) + line(KEY, binance.snapshot(100, BID, ASK))


def test_book_goes_live() -> None:
    """The seed is published as a snapshot, the buffered update after it, and the top as a quote."""
    found = run("binance", live())
    assert [(book["type"], book["sequence"]) for book in bodies(found, "market.books")] == [
        ("snapshot", 100),
        ("update", 101),
    ]
    [quote] = bodies(found, "market.quotes")
    assert (quote["origin"], quote["bids"], quote["asks"]) == ("book", BID, ASK)
    assert bodies(found, "market.gaps") == []


def test_gap_is_reported_and_closed() -> None:
    """A missing update opens a gap and requests a snapshot. The next seed closes the gap, with its duration."""
    found = run(
        "binance",
        live(),
        line(KEY, binance.depth(110, 111, [["10", "2"]], []), 100),
        line(KEY, binance.depth(112, 113, [["9", "2"]], []), 200),
        line(KEY, binance.snapshot(112, [["10", "5"]], ASK), 300),
    )
    opened, closed = bodies(found, "market.gaps")
    assert (opened["type"], opened["cause"], opened["expected"], opened["received"]) == ("opened", "sequence", 101, 110)
    assert (closed["type"], closed["id"], closed["duration"]) == ("closed", opened["id"], 300_000)
    [request] = bodies(found, "control.ingest")
    assert (request["request"], request["symbol"], request["reason"]) == ("snapshot", "BTC-USDT", "sequence")
    assert bodies(found, "market.books")[-1]["sequence"] == 113


def test_other_instruments_are_untouched_by_a_gap() -> None:
    """One book's gap leaves its neighbour in the same partition live."""
    other = "binance:ETH-USDT"
    eth = binance.depth(2, 2, [["5", "1"]], []).replace(b"BTCUSDT", b"ETHUSDT").replace(b"btcusdt", b"ethusdt")
    found = run(
        "binance",
        live() + line(other, binance.snapshot(1, [["4", "1"]], ASK)),
        line(KEY, binance.depth(110, 111, [], [])) + line(other, eth),
    )
    assert [book["symbol"] for book in bodies(found, "market.books")][-1] == "ETH-USDT"
    assert {gap["symbol"] for gap in bodies(found, "market.gaps")} == {"BTC-USDT"}


def test_no_quote_from_a_book_that_is_not_live() -> None:
    """After a disconnection the exchange's quote is published alone, without levels of the old book."""
    found = run(
        "binance",
        live(),
        marker(KEY, "disconnected", 10, reason="closed") + line(KEY, binance.quote(130, "10", "1", "11", "1"), 20),
    )
    quotes = bodies(found, "market.quotes")
    assert [quote["origin"] for quote in quotes] == ["book", "bbo"]
    assert [len(quotes[-1][side]) for side in ("bids", "asks")] == [1, 1]
    gaps = [(gap["cause"], gap["channel"]) for gap in bodies(found, "market.gaps")]
    assert gaps == [("disconnected", "books"), ("disconnected", "trades")]


def test_quote_has_the_levels_behind_it() -> None:
    """The exchange's best price is followed by the live book's levels, if both agree on that price."""
    deep = line(KEY, binance.snapshot(100, [["10", "1"], ["9", "2"]], [["11", "1"], ["12", "2"]]))
    found = run("binance", deep, line(KEY, binance.quote(101, "9.5", "7", "11.0", "3"), 5))
    quote = bodies(found, "market.quotes")[-1]
    assert quote["bids"] == [["9.5", "7"]]
    assert quote["asks"] == [["11.0", "3"], ["12", "2"]]


def test_truth_check_agrees_and_differs() -> None:
    """Equal BBO and book at the same id count as agreed; a difference is reported with both values."""
    found = run(
        "binance",
        live(),
        line(KEY, binance.quote(102, "10", "1", "11", "1")) + line(KEY, binance.depth(102, 102, [], [])),
        line(KEY, binance.depth(103, 103, [], [])) + line(KEY, binance.quote(103, "10", "9", "11", "1")),
        tick("binance", 1000),
    )
    difference, report = bodies(found, "market.quality")
    assert (difference["bbo"], difference["book"]) == (["10", "9", "11", "1"], ["10", "1", "11", "1"])
    assert (report["compared"], report["agreed"], report["differed"]) == (2, 1, 1)


def test_contracts_are_published_as_base_units() -> None:
    """With an OKX swap's definition from the topic, its contracts become base units in all events."""
    key = "okx:BTC-USDT-PERP"
    definition = marker(key, "instrument", **okx.SWAP.model_dump())
    book = line(key, okx.book(-1, 5, [["10", "300"]], [["11", "5"]], "snapshot", okx.SWAP))
    found = run("okx", definition + book + line(key, okx.trade(okx.SWAP)))
    assert bodies(found, "market.books")[0]["bids"] == [["10", "3"]]
    assert bodies(found, "market.quotes")[0]["asks"] == [["11", "0.05"]]
    assert bodies(found, "market.trades")[0]["amount"] == "0.12"


def test_malformed_frames_become_one_dead_letter_each() -> None:
    """Each has a reason, and the frames around them are processed."""
    bad = [b"{", b"[]", b"\xff\xfe", dumps({"e": "mystery"}), binance.trade(q="-1"), b'{"a":\n1}', b"x" * 1_000_000]
    lines = b"".join(line(KEY, frame, number) for number, frame in enumerate(bad))
    found = run("binance", live() + lines + line(KEY, binance.trade(), 50))
    letters = bodies(found, "dead_letters")
    assert len(letters) == len(bad)
    assert all(letter["reason"] for letter in letters)
    assert [letter["encoding"] for letter in letters].count("base64") == 1
    assert len(bodies(found, "market.trades")) == 1
    assert bodies(found, "market.gaps") == []


@pytest.mark.parametrize("space", ["", "\n"])  # a line cannot hold a newline: such a frame is wrapped
def test_frame_of_an_unknown_instrument(space: str) -> None:
    """A frame whose instrument is unknown is a dead letter, unless it is recognised and has no events anyway."""

    def letters(body: dict[str, Any]) -> list[str]:
        frame = dumps(body)[:-1] + space.encode() + b"}"
        return [each["reason"] for each in bodies(run("binance", line("binance:?", frame)), "dead_letters")]

    for known in ({"e": "avgPrice"}, {"stream": "!ticker@arr", "data": []}, {"result": None, "id": 1}):
        assert letters(known) == []
    assert letters({"e": "mystery"}) == ["unknown channel: 'mystery'"]
    coin = {"e": "trade", "s": "BTCUSD_PERP", "t": 1, "p": "1", "q": "1", "T": 1790000000000, "m": True}
    assert letters(coin) == ["'BTCUSD_PERP' has no canonical name"]


def test_broken_record_is_a_dead_letter() -> None:
    """Bytes that are not a raw record do not stop the partition."""
    found = run("binance", b"what is this\n", live())
    assert len(bodies(found, "dead_letters")) == 1
    assert len(bodies(found, "market.books")) == 2


def test_snapshot_every_minute_until_stale() -> None:
    """A live book is published as a snapshot every minute, until it is stale."""
    ticks = [tick("binance", seconds * 1000) for seconds in range(1, 140)]
    found = run("binance", live(), *ticks)
    assert [book["type"] for book in bodies(found, "market.books")].count("snapshot") == 2


def test_wrong_checksum_is_a_gap() -> None:
    """If OKX still sends a checksum, an update after which the book does not match it opens a gap."""
    key = "okx:BTC-USDT"
    start = line(key, okx.book(-1, 5, [["3366.1", "7"]], [["3366.8", "9"]], "snapshot"))
    right = okx.book(5, 6, [["3366", "6"]], [["3368", "8"]]).replace(b'"checksum":0', b'"checksum":-1881014294')
    wrong = okx.book(6, 7, [["3365", "1"]], []).replace(b'"checksum":0', b'"checksum":12345')
    found = run("okx", start + line(key, right, 1) + line(key, wrong, 2))
    assert [book["sequence"] for book in bodies(found, "market.books")] == [5, 6]
    assert [gap["cause"] for gap in bodies(found, "market.gaps")] == ["checksum"]


def test_lost_frames_open_a_gap() -> None:
    """Frames that ingest dropped are a gap, and a snapshot is requested."""
    found = run("binance", live(), marker(KEY, "lost", 5, frames=7, reason="buffer full"))
    assert [gap["cause"] for gap in bodies(found, "market.gaps")] == ["lost"]
    assert len(bodies(found, "control.ingest")) == 1


def generated(choices: list[int]) -> list[bytes]:
    """Return records of two spot instruments with the chosen trades, quotes, updates, gaps, seeds, and ticks."""
    last, records = 100, [live()]
    for number, choice in enumerate(choices):
        last += 1 + (choice == 5)
        kinds = {
            0: binance.trade(t=number + 1),
            1: binance.quote(last, "10", "1", "11", "1"),
            4: binance.snapshot(last, BID, ASK),
        }
        frame = kinds.get(choice) or binance.depth(last, last, [["9.5", str(number % 3)]], [])
        last -= choice in (0, 1, 4)
        other = line("binance:ETH-USDT", binance.trade(s="ETHUSDT", t=number + 1), number * 400)
        records.append(line(KEY, frame, number * 400) + other + tick("binance", number * 400))
    return records


def events_of(records: list[Record]) -> list[Record]:
    return [record for record in records if record[0] != "control.ingest"]


def deduplicated(records: list[Record]) -> list[tuple[str, bytes]]:
    """Drop each topic's events whose source is not above all before them, as consumers do."""
    highest: dict[str, list[int]] = {}
    kept = []
    for topic, _, value in records:
        place = [int(number) for number in orjson.loads(value)["source"].split(":")[1:]]
        if place > highest.get(topic, []):
            highest[topic] = place
            kept.append((topic, value))
    return kept


@given(st.lists(st.integers(0, 6), max_size=30), st.integers(0, 30), st.integers(0, 30))
def test_restart_gives_the_same_events(choices: list[int], checkpoint: int, crash: int) -> None:
    """After a crash at any record and a restart from any checkpoint, consumers have the output of an unbroken run.

    Each entry of the checkpoint is of a different record.
    """
    records = generated(choices)
    checkpoint, crash = sorted((min(checkpoint, len(records)), min(crash, len(records))))
    whole = RawProcessor("binance", 0, SETTINGS)
    expected = [
        record for offset, value in enumerate(records) for record in events_of(whole.process(offset, value).records)
    ]
    first, second, published = RawProcessor("binance", 0, SETTINGS), RawProcessor("binance", 0, SETTINGS), []
    dumps: dict[str, bytes] = {}
    changed: list[str] = []
    for offset, value in enumerate(records[:crash]):
        if offset == checkpoint:
            changed = first.take_changed()
        if changed:
            key = changed.pop()
            dumps[key] = first.dump(key)
        published += events_of(first.process(offset, value).records)
    for key, dump in dumps.items():
        second.load(key, dump)
    # The committed offset may be before the checkpoint: everything is read again.
    for offset, value in enumerate(records):
        published += events_of(second.process(offset, value).records)
    assert deduplicated(published) == deduplicated(expected) == [(topic, value) for topic, _, value in expected]


def test_same_bytes_same_output() -> None:
    """Two runs over the same records give the same bytes, including control requests and join lines."""
    records = generated([2, 1, 5, 0, 4, 2, 3, 1, 6])
    outputs = []
    for _ in range(2):
        partition = RawProcessor("binance", 0, SETTINGS)
        processed = [partition.process(offset, value) for offset, value in enumerate(records)]
        outputs.append([(out.records, dict(out.joins)) for out in processed])
    assert outputs[0] == outputs[1]
