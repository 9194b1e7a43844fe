"""Every number that is accepted fits ClickHouse's columns, whatever its notation."""

import pytest

from schemas.errors import FrameError
from schemas.instruments import Instrument
from streams.normalize import parse
from streams.normalize.messages import BookMessage, CheckedLevels, Trade
from tests.frames import binance, okx

NOW = 1_790_000_000_000_001  # µs of receipt


def test_exponents_are_written_out() -> None:
    """Prices become plain decimal strings, whatever notation the exchange chose."""
    [depth] = parse(binance.depth(1, 1, [["2.2e3", "1E-5"]], []), binance.SPOT, NOW)
    assert isinstance(depth, BookMessage)
    assert depth.bids == CheckedLevels([b'2200","0.00001'], [(2200.0, 0.00001)])


_MANY = [["10.5", "0.25"]] * 99

UNREPRESENTABLE: list[tuple[str, bytes, Instrument, str]] = [
    ("too many places", binance.trade(p="1." + "1" * 19), binance.SPOT, "more than 18 decimal places"),
    ("too small a price", okx.trade(okx.INVERSE, px="1e-40", sz="1e17"), okx.INVERSE, "out of range"),
    ("too large an amount", okx.trade(okx.INVERSE, px="1e-10", sz="1e17"), okx.INVERSE, "out of range"),
    ("a level", binance.depth(1, 2, [["10", "1"]], [["11", "0." + "1" * 19]]), binance.SPOT, "18 decimal places"),
    ("a level of many", binance.depth(1, 2, [*_MANY, ["10.6", "1." + "7" * 20]], []), binance.SPOT, "18 decimal"),
    ("a quote", binance.quote(1, "10", "1." + "1" * 19, "11", "1"), binance.SPOT, "18 decimal places"),
    ("an okx level", okx.book(1, 2, [["1." + "1" * 19, "1"]], []), okx.SPOT, "18 decimal places"),
    ("a tiny seed", binance.snapshot(1, [["1e-40", "1"]], []), binance.SPOT, "out of range"),
    ("base units", okx.book(1, 2, [["1e-10", "1e17"]], [], instrument=okx.INVERSE), okx.INVERSE, "out of range"),
    ("beyond 2299", binance.trade(T=10_413_792_000_000), binance.SPOT, "not a timestamp"),
    ("sequence of 64 bits", okx.book(1, 1 << 63, [], []), okx.SPOT, "sequence ids out of range"),
    ("previous id of 64 bits", binance.usdm_depth(1, 2, 1 << 63, [], []), binance.USDM, "malformed: Expected `int` <="),
    ("a kind of a megabyte", binance.trade(X="X" * 1_000_000), binance.SPOT, "not a trade kind"),
    ("an id of a megabyte", okx.trade(tradeId="9" * 1_000_000), okx.SPOT, "not a trade id"),
    ("an id with a newline", okx.trade(tradeId="1\n2"), okx.SPOT, "not a trade id"),
    ("a name of a megabyte", binance.trade(s="S" * 1_000_000), binance.SPOT, "frame for 'SSS"),
]


@pytest.mark.parametrize(
    ("frame", "instrument", "reason"), [case[1:] for case in UNREPRESENTABLE], ids=[case[0] for case in UNREPRESENTABLE]
)
def test_values_that_fit_no_column_are_rejected(frame: bytes, instrument: Instrument, reason: str) -> None:
    """The frame is rejected with a short reason, before anything is changed."""
    with pytest.raises(FrameError, match=reason) as caught:
        parse(frame, instrument, NOW)
    assert len(str(caught.value)) <= 300


def test_the_largest_numbers() -> None:
    """20 digits before the point and 18 after it are accepted, and so are more zeros at both ends."""
    large, small = "9" * 19 + "." + "1" * 18, "0.000000000000000001"
    [trade] = parse(binance.trade(p=small + "000", q="0" * 30 + large), binance.SPOT, NOW)
    assert isinstance(trade, Trade)
    assert (trade.price, trade.amount) == (small, large)
    [depth] = parse(binance.depth(1, 2, [[small, large]] * 400, [["1e-18", "1E19"]]), binance.SPOT, NOW)
    assert isinstance(depth, BookMessage)
    assert depth.bids.levels == [f'{small}","{large}'.encode()] * 400
    assert depth.asks.levels == [b'0.000000000000000001","10000000000000000000']
