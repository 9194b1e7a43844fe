"""OKX's payloads are parsed to messages, and everything else to a reason."""

import pytest

from schemas.errors import FrameError
from streams.normalize import parse
from streams.normalize.amounts import base_levels
from streams.normalize.messages import BookMessage, CheckedLevels, Ignored, Quote, Reading, Trade
from tests.frames import MS, dumps, okx

NOW = 1_790_000_000_000_001  # µs of receipt


def test_trades_become_base_units() -> None:
    """Amounts are contracts times contract size, divided by the price if inverse."""
    [spot] = parse(okx.trade(), okx.SPOT, NOW)
    [swap] = parse(okx.trade(okx.SWAP), okx.SWAP, NOW)
    [inverse] = parse(okx.trade(okx.INVERSE, px="50000"), okx.INVERSE, NOW)
    trades = [trade for trade in (spot, swap, inverse) if isinstance(trade, Trade)]
    assert [trade.amount for trade in trades] == ["12", "0.12", "0.024"]
    assert [trade.exchange_amount for trade in trades] == ["12", "12", "12"]


def test_book() -> None:
    """Levels keep the exchange's units until they are published."""
    [depth] = parse(okx.book(10, 15, [["10", "3"]], [], instrument=okx.SWAP), okx.SWAP, NOW)
    assert isinstance(depth, BookMessage)
    assert (depth.kind, depth.last, depth.previous) == ("update", 15, 10)
    assert depth.bids == CheckedLevels([b'10","3'], [(10.0, 3.0)])
    assert base_levels(okx.SWAP, depth.bids.levels) == [b'10","0.03']


def test_bbo() -> None:
    """The BBO has the book's sequence."""
    [quote] = parse(okx.bbo(15, "10", "1", "11", "2"), okx.SPOT, NOW)
    assert isinstance(quote, Quote)
    assert (quote.sequence, quote.timestamp) == (15, 1790000000201000)


@pytest.mark.parametrize(
    "frame",
    [
        dumps({"event": "subscribe", "arg": {"channel": "books", "instId": "BTC-USDT"}}),
        dumps({"op": "subscribe", "args": []}),
        okx.push("tickers", [{}]),
        okx.push("candle1m", [{}]),
        dumps({"arg": {"channel": "sprd-bbo-tbt", "sprdId": "BTC-USDT_BTC-USDT-SWAP"}, "data": [{}]}),
        dumps({"arg": {"channel": "option-trades", "instFamily": "BTC-USD"}, "data": [{}]}),
        dumps({"arg": {"channel": "adl-warning", "instType": "SWAP"}, "data": [{}]}),
    ],
)
def test_recognised_but_unsupported(frame: bytes) -> None:
    """Control frames and unsupported channels are ignored by name, not rejected as malformed."""
    [event] = parse(frame, okx.SPOT, NOW)
    assert isinstance(event, Ignored)


MALFORMED: list[tuple[str, bytes, str]] = [
    ("no data", okx.push("trades", []), "without data"),
    ("unknown channel", okx.push("mystery", [{}]), "unknown channel"),
    ("side", okx.trade(side="up"), "not a side"),
    ("price", okx.trade(px="-1"), "not a price"),
    ("action", okx.book(1, 2, [], [], action="replace"), "unknown book action"),
    ("v3", dumps({"table": "spot/trade", "data": []}), "v3 protocol"),
    ("exponent of a billion", okx.trade(px="1e999999999"), "out of range"),
    ("no arg", dumps({"data": []}), "missing field 'arg'"),
]


@pytest.mark.parametrize(("frame", "reason"), [case[1:] for case in MALFORMED], ids=[case[0] for case in MALFORMED])
def test_malformed_frames_have_a_reason(frame: bytes, reason: str) -> None:
    """A malformed frame is rejected, with what is wrong with it."""
    with pytest.raises(FrameError, match=reason):
        parse(frame, okx.SPOT, NOW)


def test_funding_comes_from_three_channels() -> None:
    """The rate with its period, the mark price, and the price of the index, which several instruments share."""
    swap, at = okx.SWAP, MS * 1000
    fields = {"rate": "-0.0000725", "next_funding_at": at, "interval_hours": 4}
    assert parse(okx.funding_rate(), swap, NOW) == [Reading("market.funding", "funding", at, fields)]
    expected = Reading("market.funding", "mark_prices", at, {"mark_price": "86750.1"})
    assert parse(okx.mark_price(), swap, NOW) == [expected]
    assert parse(okx.index_price(), swap, NOW) == [
        Reading("market.funding", "index_prices", at, {"index_price": "86749"})
    ]
    with pytest.raises(FrameError, match="index 'BTC-USDT' received as that of 'BTC-USD-SWAP'"):
        parse(okx.index_price(), okx.INVERSE, NOW)
