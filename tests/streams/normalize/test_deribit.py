"""Deribit's payloads are parsed to messages, exact to the digit, and everything else to a reason."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple

from schemas.errors import FrameError
from schemas.instruments import Instrument
from streams.levels import texts_of
from streams.normalize import parse
from streams.normalize.book_sides import levels, quote_of
from streams.normalize.messages import BookMessage, Ignored, Quote, Trade
from tests.frames import MS, deribit, dumps
from tests.frames.deribit import LINEAR, OPTION, PERPETUAL, subscription
from tests.streams.normalize.strategies import anything

NOW = 1_790_000_000_000_001  # µs of receipt


def test_trades_of_an_inverse_perpetual() -> None:
    """A frame has several. Amounts in US dollars become coins; the exchange's amounts are kept as well."""
    frame = deribit.trades(
        deribit.trade_row(price="50000.0"), deribit.trade_row(trade_id='"400500601"', amount="10", direction='"buy"')
    )
    first, second = parse(frame, PERPETUAL, NOW)
    stamp = (MS + 188) * 1000
    assert first == Trade(stamp, "400500600", "50000.0", "0.05", "sell", "normal", "2500.0", 150200300, 150200300)
    assert astuple(second)[1:6] == ("400500601", "86749.5", "0.00011527443962213", "buy", "normal")


@pytest.mark.parametrize("instrument", [LINEAR, OPTION])
def test_trades_in_coins(instrument: Instrument) -> None:
    """Amounts of linear contracts and of options are coins already, even if an option's underlying is inverse."""
    row = deribit.trade_row(instrument, price="0.0115", amount="0.1", contracts="", iv="55.2")
    [trade] = parse(deribit.trades(row, instrument=instrument), instrument, NOW)
    assert isinstance(trade, Trade)
    assert (trade.price, trade.amount, trade.exchange_amount) == ("0.0115", "0.1", "0.1")


@pytest.mark.parametrize(
    ("marks", "kind"),
    [
        ({"liquidation": '"T"'}, "liquidation_taker"),
        ({"liquidation": '"M"'}, "liquidation_maker"),
        ({"liquidation": '"MT"'}, "liquidation_both"),
        ({"liquidation": '"MT"', "block_trade_id": '"7"'}, "block"),
        ({"liquidation": '"T"', "combo_id": '"BTC-FS-25SEP26_PERP"'}, "combo"),
        ({"block_trade_id": '"BLOCK-7"', "block_trade_leg_count": "2", "combo_id": '"BTC-FS-25SEP26_PERP"'}, "block"),
        ({"combo_id": '"BTC-FS-25SEP26_PERP"', "combo_trade_id": "9"}, "combo"),
    ],
)
def test_marked_trades(marks: dict[str, str], kind: str) -> None:
    """Liquidations, block trades and legs of combinations have their own kinds."""
    [trade] = parse(deribit.trades(deribit.trade_row(PERPETUAL, **marks)), PERPETUAL, NOW)
    assert isinstance(trade, Trade)
    assert trade.kind == kind


def test_book() -> None:
    """A change names the id that it follows. Every action sets an absolute amount, which for `delete` is zero."""
    [snapshot] = parse(deribit.book(500, '[["new",86749.5,4200.0]]', '[["new",86750.0,1200.0]]'), PERPETUAL, NOW)
    sides = levels([["86749.5", "4200.0"]]), levels([["86750.0", "1200.0"]])
    assert snapshot == BookMessage("snapshot", MS * 1000, 500, 500, -1, *sides)
    asks = '[["delete",86750.0,0.0],["new",86751,300],["delete",86752.0]]'
    [change] = parse(deribit.book(731, '[["change",86749.5,4e3]]', asks, previous=500), PERPETUAL, NOW)
    assert astuple(change)[:5] == ("update", MS * 1000, 731, 731, 500)
    assert isinstance(change, BookMessage)
    assert change.bids.levels == [b'86749.5","4000']
    assert change.asks.levels == [b'86750.0","0', b'86751","300', b'86752.0","0']


def test_book_without_type() -> None:
    """Frames of 2020 have no type: only a change has a previous id."""
    [snapshot] = parse(deribit.book(500).replace(b'"type":"snapshot",', b""), PERPETUAL, NOW)
    [change] = parse(deribit.book(501, previous=500).replace(b'"type":"change",', b""), PERPETUAL, NOW)
    assert [depth.kind for depth in (snapshot, change) if isinstance(depth, BookMessage)] == ["snapshot", "update"]


def test_book_of_few_levels() -> None:
    """Each frame is a whole book, whose levels have no actions."""
    [book] = parse(deribit.whole_book("[[86749.5,4200.0],[86749,10]]", "[]"), PERPETUAL, NOW)
    bids = levels([["86749.5", "4200.0"], ["86749", "10"]])
    assert book == BookMessage("snapshot", MS * 1000, 88000000731, 88000000731, -1, bids, levels([]))


def test_book_of_an_empty_option() -> None:
    """A book that never had an order has the id zero."""
    [snapshot] = parse(deribit.book(0, name=OPTION.exchange_symbol), OPTION, NOW)
    assert snapshot == BookMessage("snapshot", MS * 1000, 0, 0, -1, levels([]), levels([]))


@pytest.mark.parametrize("missing", [("0.0", "0.0"), ("null", "null"), ("0", "0"), ("null", "0.0"), ("86749.5", "0.0")])
def test_quote_without_a_side(missing: tuple[str, str]) -> None:
    """A BBO has no id. A side without orders is sent as zeros or nulls."""
    [quote] = parse(deribit.quote(*missing, "86750.5", "300.0"), PERPETUAL, NOW)
    assert quote == quote_of(MS * 1000, 0, levels([]), levels([["86750.5", "300.0"]]))


@given(st.decimals("0.00000001", "9999999.99", places=8).filter(bool), st.booleans())
def test_prices_are_exact(price: Decimal, scientific: bool) -> None:
    """A JSON number keeps all its digits, whatever its notation."""
    text = f"{price:e}" if scientific else f"{price}"
    [quote] = parse(deribit.quote(text, "1.0", text, "1.0"), PERPETUAL, NOW)
    assert isinstance(quote, Quote)
    text, _ = texts_of(quote.bids[0])
    assert Decimal(text) == price
    assert "e" not in text.lower()


@pytest.mark.parametrize(
    "frame",
    [
        dumps({"jsonrpc": "2.0", "id": 1, "result": ["book.BTC-PERPETUAL.100ms"], "usIn": 1, "usOut": 2, "usDiff": 1}),
        dumps({"jsonrpc": "2.0", "id": 5, "error": {"code": 13778, "message": "raw_subscriptions_not_available"}}),
        dumps({"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": "test_request"}}),
        dumps({"jsonrpc": "2.0", "id": 1, "method": "public/subscribe", "params": {"channels": []}}),
        subscription("deribit_price_index.btc_usd", "{}"),
        subscription("perpetual.BTC-PERPETUAL.100ms", "{}"),
        subscription("platform_state", '{"maintenance":true}'),
        subscription("block_rfq.trades.btc", "[{}]"),
        subscription("instrument.state.any.any", "{}"),
        subscription("incremental_ticker.BTC-PERPETUAL", "{}"),
        subscription("deribit_volatility_index.btc_usd", "{}"),
        subscription("markprice.options.btc_usd", "[{}]"),
        deribit.whole_book("[[86740,4200.0]]", "[]", group="10"),
        subscription("trades.option.any.100ms", "[{}]"),
    ],
)
def test_recognised_but_unsupported(frame: bytes) -> None:
    """Control frames, unsupported channels and books of rounded prices are ignored by name, not rejected."""
    [event] = parse(frame, PERPETUAL, NOW)
    assert isinstance(event, Ignored)


MALFORMED: list[tuple[str, bytes, str]] = [
    ("truncated", deribit.quote("1", "1", "2", "1")[:-9], "not JSON"),
    ("nested without end", b"[" * 100_000, "not JSON"),
    ("a number", b"7", "malformed"),
    ("unknown channel", subscription("mystery.BTC-PERPETUAL", "{}"), "unknown channel"),
    ("no channel", dumps({"method": "subscription", "params": {}}), "missing field 'channel'"),
    (
        "no data",
        dumps({"method": "subscription", "params": {"channel": "quote.BTC-PERPETUAL"}}),
        "missing field 'data'",
    ),
    ("unknown method", dumps({"jsonrpc": "2.0", "method": "mystery"}), "neither"),
    ("no JSON-RPC", dumps({"result": 1}), "neither"),
    ("other instrument", deribit.book(1, name="ETH-PERPETUAL"), "ETH-PERPETUAL"),
    ("no instrument", subscription("quote.BTC-PERPETUAL", "{}"), "missing field 'instrument_name'"),
    ("an action in a whole book", deribit.whole_book('[["new",1,2]]', "[]"), "a list of the wrong length"),
    ("another's whole book", deribit.whole_book("[]", "[]").replace(b'"BTC-PERP', b'"ETH-PERP'), "received on"),
    ("side", deribit.trades(deribit.trade_row(direction='"up"')), "not a side"),
    ("trade id", deribit.trades(deribit.trade_row(trade_id="400500600")), "not a trade id"),
    ("zero amount", deribit.trades(deribit.trade_row(amount="0.0")), "not above zero"),
    ("negative price", deribit.trades(deribit.trade_row(price="-1.5")), "not a price"),
    ("null price", deribit.trades(deribit.trade_row(price="null")), "not a decimal"),
    ("time as text", deribit.trades(deribit.trade_row(timestamp='"now"')), "timestamp"),
    ("action", deribit.book(2, '[["replace",10,1]]'), "unknown book action"),
    ("no action", deribit.book(2, "[[50000,100]]"), "unknown book action"),
    ("NaN", deribit.book(2, '[["new",10,"NaN"]]'), "not a price"),
    ("negative level", deribit.book(2, '[["new",10.5,-1.0]]'), "not a price"),
    ("true", deribit.book(2, '[["new",true,1.0]]'), "not a decimal"),
    ("level as text", deribit.book(2, '["new"]'), "unknown book action"),
    ("id as text", deribit.book(2).replace(b":2,", b':"2",'), "not an id"),
    ("id beyond 64 bits", deribit.book(1 << 63), "not an id"),
    ("a change without a previous id", deribit.book(2).replace(b"snapshot", b"change"), "with previous id -1"),
    (
        "a snapshot with a previous id",
        deribit.book(2, previous=1).replace(b'"change"', b'"snapshot"'),
        "with previous id 1",
    ),
    ("exponent of a billion", deribit.quote("1e999999999", "1", "2", "1"), "out of range"),
]


@pytest.mark.parametrize(("frame", "reason"), [case[1:] for case in MALFORMED], ids=[case[0] for case in MALFORMED])
def test_malformed_frames_have_a_reason(frame: bytes, reason: str) -> None:
    """A malformed frame is rejected, with what is wrong with it."""
    with pytest.raises(FrameError, match=reason):
        parse(frame, PERPETUAL, NOW)


@given(st.sampled_from(["book.BTC-PERPETUAL.100ms", "quote.BTC-PERPETUAL", "trades.BTC-PERPETUAL.100ms"]), anything)
def test_no_json_stops_a_partition(channel: str, body: Any) -> None:
    """Any JSON, as a frame or as a channel's data, is parsed to messages or to a `FrameError`."""
    for frame in (body, {"method": "subscription", "params": {"channel": channel, "data": body}}):
        try:
            parse(dumps(frame), PERPETUAL, NOW)
        except FrameError:
            continue
