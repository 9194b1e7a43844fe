"""Binance's payloads are parsed to messages, and everything else to a reason."""

import pytest

from schemas.errors import FrameError
from schemas.instruments import Instrument, assumed_instrument
from streams.normalize import parse
from streams.normalize.amounts import base_levels
from streams.normalize.book_sides import levels, quote_of
from streams.normalize.messages import BookMessage, Ignored, Quote, Trade, UsedUp
from tests.frames import MS, binance, dumps
from tests.frames.binance import COINM, SPOT, USDM

NOW = 1_790_000_000_000_001  # µs of receipt


def test_spot_trade() -> None:
    """`m` true means that the taker sold; times become microseconds."""
    [trade] = parse(binance.trade(), SPOT, NOW)
    assert trade == Trade(
        1790000000122000, "5100000001", "86750.01000000", "0.00150000", "sell", "normal", "", 5100000001, 5100000001
    )


def test_microsecond_option() -> None:
    """Timestamps in microseconds are not converted."""
    [trade] = parse(binance.trade(T=1790000000122333, m=False), SPOT, NOW)
    assert isinstance(trade, Trade)
    assert (trade.timestamp, trade.side) == (1790000000122333, "buy")


def test_bare_frame() -> None:
    """Frames of a single-stream socket have no wrapper."""
    body = {"u": 70000000161, "s": "BTCUSDT", "b": "86750.00", "B": "1.2", "a": "86750.02", "A": "0.7"}
    [quote] = parse(dumps(body), SPOT, NOW)
    assert quote == quote_of(NOW, 70000000161, levels([["86750.00", "1.2"]]), levels([["86750.02", "0.7"]]))


def test_usdm_quote_has_its_own_time() -> None:
    """The futures' BBO has the matching time."""
    body = {"e": "bookTicker", "u": 9, "E": 1790000000152, "T": 1790000000150, "s": "BTCUSDT", "ps": "BTCUSDT",
            "b": "86751.00", "B": "3.200", "a": "86751.20", "A": "1.750", "st": 1}  # fmt: skip
    [quote] = parse(dumps({"stream": "btcusdt@bookTicker", "data": body}), USDM, NOW)
    assert isinstance(quote, Quote)
    assert quote.timestamp == 1790000000150000


def test_empty_side() -> None:
    """A side without orders is sent as zeros."""
    [quote] = parse(binance.quote(5, "0.00", "0.00", "10", "1"), SPOT, NOW)
    assert isinstance(quote, Quote)
    assert (quote.bids, quote.asks) == ([], [b'10","1'])


def test_depth() -> None:
    """Both markets' diff books have ids and levels."""
    side = [["86750.00", "0.000"]]
    assert parse(binance.depth(5, 9, side, []), SPOT, NOW) == [
        BookMessage("update", 1790000000200000, 5, 9, -1, levels(side), levels([]))
    ]
    assert parse(binance.usdm_depth(5, 9, 3, [], side), USDM, NOW) == [
        BookMessage("update", 1790000000148000, 5, 9, 3, levels([]), levels(side))
    ]


def test_snapshot() -> None:
    """A REST snapshot is a seed; on spot it has no time."""
    [seed] = parse(binance.snapshot(7, [["10", "1"]], [["11", "1"]]), SPOT, NOW)
    assert seed == BookMessage("seed", NOW, 7, 7, -1, levels([["10", "1"]]), levels([["11", "1"]]))


def test_placeholder_trade_is_not_a_trade() -> None:
    """`X: NA` marks an id that was used up without a trade."""
    assert parse(binance.trade(X="NA", p="0", q="0"), SPOT, NOW) == [UsedUp(5100000001)]


def test_insurance_trade_is_marked() -> None:
    """Trades of the insurance fund have their own kind."""
    [trade] = parse(binance.trade(X="INSURANCE_FUND"), SPOT, NOW)
    assert isinstance(trade, Trade)
    assert trade.kind == "insurance_fund"


@pytest.mark.parametrize(
    ("frame", "instrument"),
    [
        (dumps({"result": None, "id": 1}), SPOT),
        (dumps({"stream": "btcusdt@avgPrice", "data": {"e": "avgPrice", "s": "BTCUSDT"}}), SPOT),
        (dumps({"stream": "btcusdt@blockTrade", "data": {"e": "blockTrade", "s": "BTCUSDT"}}), SPOT),
        (dumps({"stream": "btcusdt@ticker_1h", "data": {"e": "1hTicker", "s": "BTCUSDT"}}), SPOT),
        (dumps({"stream": "!miniTicker@arr", "data": [{"e": "24hrMiniTicker"}]}), SPOT),
        (dumps({"e": "serverShutdown", "E": 1790000000123}), SPOT),
        (dumps({"stream": "!bookTicker", "data": {"u": 1, "s": "BTCUSDT", "b": "1", "B": "1"}}), SPOT),
        (dumps({"stream": "btcusdt@rpiDepth@500ms", "data": {"e": "depthUpdate", "s": "BTCUSDT"}}), USDM),
        (dumps({"e": "indexPriceUpdate", "i": "BTCUSD"}), USDM),
        (dumps({"code": -1121, "msg": "Invalid symbol."}), SPOT),
        (dumps({"timezone": "UTC", "serverTime": 1790000000123, "symbols": []}), SPOT),
        (dumps([{"e": "24hrTicker", "s": "BTCUSDT"}, {"e": "24hrTicker", "s": "ETHUSDT"}]), SPOT),
        (dumps({"stream": "!forceOrder@arr", "data": {"e": "forceOrder", "o": {"s": "BTCUSDT"}}}), USDM),
        (dumps({"stream": "!contractInfo", "data": {"e": "contractInfo", "s": "BTCUSDT"}}), USDM),
        (dumps({"e": "markPrice_kline", "ps": "BTCUSD"}), USDM),
    ],
)
def test_recognised_but_unsupported(frame: bytes, instrument: Instrument) -> None:
    """Control frames and unsupported channels are ignored by name, not rejected as malformed."""
    [event] = parse(frame, instrument, NOW)
    assert isinstance(event, Ignored)


MALFORMED: list[tuple[str, bytes, str]] = [
    ("truncated", binance.trade()[:-9], "not JSON"),
    ("invalid UTF-8", b'{"e":"trade","s":"\xff\xfe"}', "not JSON"),
    ("NaN literal", b'{"e":"trade","p":NaN}', "not JSON"),
    ("empty array", b"[]", "array"),
    ("a number", b"7", "malformed"),
    ("unknown channel", dumps({"e": "mystery", "s": "BTCUSDT"}), "unknown channel"),
    ("other symbol", binance.trade(s="ETHUSDT"), "ETHUSDT"),
    ("price as a number", binance.trade(p=86750.01), "Expected `str`"),
    ("NaN price", binance.trade(p="NaN"), "not a price"),
    ("negative amount", binance.trade(q="-1"), "not a price"),
    ("zero amount", binance.trade(q="0.0"), "not above zero"),
    ("maker flag as text", binance.trade(m="true"), "Expected `bool`"),
    ("time as text", binance.trade(T="now"), "Expected `int`"),
    ("time in seconds", binance.trade(T=1790000000), "timestamp"),
    ("negative level", binance.depth(1, 2, [["10", "-1"]], []), "not a price"),
    ("NaN level", binance.depth(1, 2, [["NaN", "1"]], []), "not"),
    ("level of zero price", binance.depth(1, 2, [["0", "1"]], []), "not above zero"),
    ("level as text", binance.depth(1, 2, ["12"], []), "not a level"),  # type: ignore[list-item]
    ("two points", binance.depth(1, 2, [["1.2.3", "1"]], []), "malformed"),
    ("out of range", binance.depth(1, 2, [["9" * 30, "1"]], []), "out of range"),
    ("ids as text", binance.depth("1", 2, [], []), "Expected `int`"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("frame", "reason"), [case[1:] for case in MALFORMED], ids=[case[0] for case in MALFORMED])
def test_malformed_frames_have_a_reason(frame: bytes, reason: str) -> None:
    """A malformed frame is rejected, with what is wrong with it."""
    with pytest.raises(FrameError, match=reason):
        parse(frame, SPOT, NOW)


def test_coinm_trade_is_in_base_units_and_contracts() -> None:
    """3 contracts of 100 dollars at 50,000 are 0.006 BTC; the definition of ETH says 10 dollars."""
    frame = binance.coinm("trade", e="trade", E=MS, T=MS, t=7, p="50000.0", q="3", m=False, X="MARKET")
    assert parse(frame, COINM, NOW) == [
        Trade(MS * 1000, "7", "50000.0", "0.006", "buy", exchange_amount="3", first=7, last=7)
    ]
    assert assumed_instrument("binance-coinm", "binance", "ETH-USD-261225").contract_size == "10"


def test_coinm_books_count_contracts_until_published() -> None:
    """Books and BBOs keep contracts; what cannot be converted is rejected before a book is touched."""
    frame = binance.coinm(
        "depth@100ms", e="depthUpdate", E=MS, T=MS, U=5, u=8, pu=4, b=[["50000.0", "25"]], a=[["50000.1", "0"]]
    )
    [update] = parse(frame, COINM, NOW)
    assert update == BookMessage("update", MS * 1000, 5, 8, 4, levels([["50000.0", "25"]]), levels([["50000.1", "0"]]))
    assert base_levels(COINM, update.bids.levels) == levels([["50000.0", "0.05"]]).levels
    ticker = {"e": "bookTicker", "u": 8, "E": MS, "T": MS, "b": "50000.0", "B": "25", "a": "50000.1", "A": "4"}
    [quote] = parse(binance.coinm("bookTicker", **ticker), COINM, NOW)
    assert isinstance(quote, Quote)
    assert base_levels(COINM, quote.asks) == levels([["50000.1", "0.007999984000032"]]).levels
    with pytest.raises(FrameError, match="out of range"):
        parse(binance.coinm("bookTicker", **ticker | {"b": "0.0000000001", "B": "99999999999999999999"}), COINM, NOW)


def test_aggregated_trades_are_numbered_by_themselves() -> None:
    """An aggregated trade is one trade, whose number is its own; the amount of COIN-M counts contracts."""
    [trade] = parse(binance.aggregated(), USDM, NOW)
    assert trade == Trade(MS * 1000, "2900000001", "86751.10", "3", "buy", first=2900000001, last=2900000001)
    [trade] = parse(binance.aggregated(COINM, p="50000.0", m=True), COINM, NOW)
    assert trade == Trade(
        MS * 1000, "2900000001", "50000.0", "0.006", "sell", exchange_amount="3", first=2900000001, last=2900000001
    )
    [trade] = parse(binance.aggregated(q="1." + "0" * 25), USDM, NOW)
    assert isinstance(trade, Trade)
    assert trade.amount == "1"


@pytest.mark.parametrize("instrument", [SPOT, USDM, COINM], ids=["spot", "usdm", "coinm"])
def test_partial_books_are_snapshots(instrument: Instrument) -> None:
    """Each frame of the best levels is the whole book, of spot without a time."""
    bids, asks = levels([["86750.9", "12"], ["86750", "3"]]), levels([["86751", "7"]])
    stamp, last = (NOW, 70000000160) if instrument is SPOT else (MS * 1000, 101)
    expected = BookMessage("snapshot", stamp, last, last, -1, bids, asks)
    assert parse(binance.partial_book(instrument), instrument, NOW) == [expected]
    for odd in ({"bids": [["-1", "1"]], "b": [["-1", "1"]]}, {"lastUpdateId": "x", "u": "x"}):
        with pytest.raises(FrameError):
            parse(binance.partial_book(instrument, **odd), instrument, NOW)
