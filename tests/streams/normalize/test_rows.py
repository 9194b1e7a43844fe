"""Frames of several rows: a bad row costs only itself, and is reported by itself."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from schemas.events import DeadLetter
from schemas.instruments import Instrument
from schemas.raw import encode_line
from schemas.settings import load_settings
from streams.normalize import parse
from streams.normalize.messages import Rejected
from streams.raw_processor import RawProcessor
from tests.frames import T0, deribit, htx, okx

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
    """The good rows become events in their order; a bad one says which it is, why, and what it was."""
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
    """It has the row as it was received, not the whole frame, between the events of the others."""
    frame = htx.trades(htx.SPOT, htx.spot_row(), htx.spot_row(price="-1.50"), htx.spot_row(tradeId="9"))
    [letter], topics = letters(frame, htx.SPOT)
    assert topics == ["market.trades", "dead_letters", "market.trades"]
    assert letter["frame"] == htx.spot_row(price="-1.50")
    assert letter["reason"] == "row 2 of 3: not a price or amount: '-1.50'"
    assert letter["source"] == "htx:0:0:0:1"


def test_dead_letters_of_a_frame_are_bounded() -> None:
    """A frame of thousands of bad rows is reported by a hundred of them and by the number of the others."""
    found, _ = letters(okx_trades({}, *[{"px": "-1"}] * 3000), okx.SPOT)
    assert len(found) == 101
    assert found[-1]["reason"] == "2900 more of 3001 rows rejected"


def test_a_frame_without_a_good_row_is_one_dead_letter() -> None:
    """What ruins every row is the frame's fault."""
    frame = okx_trades(*[{"px": "-1"}] * 3)
    [letter], _ = letters(frame, okx.SPOT)
    assert (letter["reason"], letter["frame"]) == ("not a price or amount: '-1'", frame.decode())
