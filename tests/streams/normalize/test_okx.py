"""OKX's payloads are parsed to messages, and everything else to a reason."""

import pytest

from schemas.errors import FrameError
from streams.normalize import parse
from streams.normalize.amounts import base_levels
from streams.normalize.messages import BookMessage, CheckedLevels, Ignored, Quote, Trade
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


def test_variants() -> None:
    """The variants of trades and books: one fill for each trade, and whole books of five levels."""
    [trade] = parse(okx.fill(), okx.SPOT, NOW)
    number = 2_300_000_045
    assert trade == Trade(MS * 1000, str(number), "86750.1", "12", "sell", "normal", "12", number, number)
    [book] = parse(okx.best_five(), okx.SPOT, NOW)
    assert isinstance(book, BookMessage)
    assert (book.kind, book.last, book.previous, book.timestamp) == ("snapshot", 9, -1, MS * 1000)
    assert (book.bids.levels, book.asks.levels) == ([b'10","4'], [b'11","5', b'12","1'])


@pytest.mark.parametrize(
    "frame",
    [
        dumps({"event": "subscribe", "arg": {"channel": "books", "instId": "BTC-USDT"}}),
        dumps({"op": "subscribe", "args": []}),
        okx.push("price-limit", [{}]),
        okx.push("mark-price-candle1m", [{}]),
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
    ("books5 with an action", okx.push("books5", [{}], action="snapshot"), "books5 with an action"),
    ("v3", dumps({"table": "spot/trade", "data": []}), "v3 protocol"),
    ("exponent of a billion", okx.trade(px="1e999999999"), "out of range"),
    ("no arg", dumps({"data": []}), "missing field 'arg'"),
]


@pytest.mark.parametrize(("frame", "reason"), [case[1:] for case in MALFORMED], ids=[case[0] for case in MALFORMED])
def test_malformed_frames_have_a_reason(frame: bytes, reason: str) -> None:
    """A malformed frame is rejected, with what is wrong with it."""
    with pytest.raises(FrameError, match=reason):
        parse(frame, okx.SPOT, NOW)
