"""In a frame of several rows, a malformed row costs only itself and is reported separately."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from schemas.errors import FrameError
from schemas.events import DeadLetter
from schemas.instruments import Instrument
from schemas.raw import encode_line
from schemas.settings import load_settings
from streams.normalize import parse
from streams.normalize.messages import Rejected
from streams.raw_processor import RawProcessor
from tests.frames import T0, binance, deribit, dumps, htx, okx

NOW = T0 // 1000


def okx_trades(*changes: Mapping[str, str | None]) -> bytes:
    rows = [orjson.loads(okx.trade())["data"][0] | change for change in changes]
    kept = [{name: value for name, value in row.items() if value is not None} for row in rows]
    return okx.push("trades", kept)


GOOD_AND_BAD: list[tuple[str, bytes, Instrument, list[str]]] = [
    (
        "okx trade without a price",
        okx_trades({"tradeId": "1"}, {"tradeId": "2", "px": None}, {"tradeId": "3"}, {"tradeId": "4", "sz": "0"}),
        okx.SPOT,
        ["Trade", "row 2 of 4: missing field 'px'", "Trade", "row 4 of 4: not above zero, or out of range: '0'"],
    ),
    (
        "okx book",
        orjson.dumps(
            orjson.loads(okx.book(1, 2, [["10", "1"]], []))
            | {"data": [{"bids": [], "asks": [], "ts": "1790000000100", "seqId": 2, "prevSeqId": 1}, {"bids": []}]}
        ),
        okx.SPOT,
        ["BookMessage", "row 2 of 2: missing field 'asks'"],
    ),
    (
        "okx bbo",
        okx.push("bbo-tbt", [{"bids": [["1e-40", "1"]], "asks": [], "ts": "1790000000100"},
                               {"bids": [["10", "1"]], "asks": [], "ts": "1790000000100"}]),
        okx.SPOT,
        ["row 1 of 2: out of range: '1e-40'", "Quote"],
    ),
    (
        "htx trades",
        htx.trades(htx.SPOT, htx.spot_row(direction='"up"'), htx.spot_row()),
        htx.SPOT,
        ["row 1 of 2: not a side: 'up'", "Trade"],
    ),
    (
        "deribit trades",
        deribit.trades(deribit.trade_row(), deribit.trade_row(instrument_name='"ETH-PERPETUAL"')),
        deribit.PERPETUAL,
        ["Trade",
         "row 2 of 2: frame for 'ETH-PERPETUAL' received on the subscription of 'BTC-PERPETUAL'"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("frame", "instrument", "expected"), [case[1:] for case in GOOD_AND_BAD], ids=[case[0] for case in GOOD_AND_BAD]
)
def test_a_bad_row_costs_only_itself(frame: bytes, instrument: Instrument, expected: list[str]) -> None:
    """The good rows become messages in order; a bad one is reported with its number, the reason and its bytes."""
    events = parse(frame, instrument, NOW)
    assert [event.reason if isinstance(event, Rejected) else type(event).__name__ for event in events] == expected
    for event in events:
        assert not isinstance(event, Rejected) or event.row in frame


def letters(frame: bytes, instrument: Instrument) -> tuple[list[dict[str, Any]], list[str]]:
    partition = RawProcessor(instrument.exchange, 0, load_settings())
    records = partition.process(0, encode_line(T0, instrument.key, frame)).records
    found = [orjson.loads(value) for topic, _, value in records if topic == "dead_letters"]
    for letter in found:
        DeadLetter.model_validate(letter)
    return found, [topic for topic, _, _ in records]


def test_the_dead_letter_of_a_row() -> None:
    """It has the row as received instead of the whole frame, and comes between the events of the other rows."""
    frame = htx.trades(htx.SPOT, htx.spot_row(), htx.spot_row(price="-1.50"), htx.spot_row(tradeId="9"))
    [letter], topics = letters(frame, htx.SPOT)
    assert topics == ["market.trades", "dead_letters", "market.trades"]
    assert letter["frame"] == htx.spot_row(price="-1.50")
    assert letter["reason"] == "row 2 of 3: not a price or amount: '-1.50'"
    assert letter["source"] == "htx:0:0:0:1"


def test_dead_letters_of_a_frame_are_bounded() -> None:
    """A frame of thousands of bad rows gives a dead letter for each of the first hundred and one for the rest."""
    found, _ = letters(okx_trades({}, *[{"px": "-1"}] * 3000), okx.SPOT)
    assert len(found) == 101
    assert found[-1]["reason"] == "2900 more of 3001 rows rejected"


def test_a_frame_without_a_good_row_is_one_dead_letter() -> None:
    """If no row is good, the whole frame is malformed."""
    frame = okx_trades(*[{"px": "-1"}] * 3)
    [letter], _ = letters(frame, okx.SPOT)
    assert (letter["reason"], letter["frame"]) == ("not a price or amount: '-1'", frame.decode())


@pytest.mark.parametrize(
    ("frame", "instrument", "reason"),
    [
        (dumps({"arg": {"channel": "mystery", "instType": "SWAP"}, "data": []}), okx.SPOT, "unknown channel: 'myst"),
        (dumps({"arg": {"channel": "mystery"}}), okx.SPOT, "unknown channel: 'mystery'"),
        (dumps({"stream": "btcusdt@mystery", "data": {"x": 1}}), binance.SPOT, "unknown channel: 'btcusdt@mystery'"),
        (dumps({"hello": 1}), binance.SPOT, "neither data nor a response"),
        (dumps({"stream": "btcusdt@trade"}), binance.SPOT, "missing field 'data'"),
        (dumps({"stream": "btcusdt@mystery"}), binance.SPOT, "missing field 'data'"),
        (okx.push("books", [{"bids": []}], action="update"), okx.SPOT, "missing field 'asks'"),
        (okx.push("books", [{"bids": [["1"]], "asks": []}], action="update"), okx.SPOT, "malformed: a level"),
        (dumps({"arg": 7, "data": []}), okx.SPOT, "malformed: a value of the wrong type"),
        (b'{"a":' * 200_000, okx.SPOT, "not JSON"),
    ],
)  # fmt: skip
def test_reasons_are_words(frame: bytes, instrument: Instrument, reason: str) -> None:
    """A missing field, an unknown channel and a wrong type are described in words, not by an exception's name."""
    with pytest.raises(FrameError, match=f"^{reason}"):
        parse(frame, instrument, NOW)
