"""Each exchange's payloads to normalized events, and everything that is none to a reason."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.errors import FrameError
from schemas.instruments import Instrument
from streams.normalize import parse
from streams.normalize.amounts import base_levels
from streams.normalize.book_sides import decoded_sides, levels, number_levels, numeric_levels, quote_of
from streams.normalize.messages import BookMessage, CheckedLevels, Ignored, Quote, Trade, UsedUp
from streams.normalize.numbers import exact
from tests.frames import binance, dumps, okx

NOW = 1_790_000_000_000_001  # µs of receipt


def test_binance_spot_trade() -> None:
    """`m` true means that the taker sold; times become microseconds."""
    [trade] = parse(binance.trade(), binance.SPOT, NOW)
    assert trade == Trade(
        1790000000122000, "5100000001", "86750.01000000", "0.00150000", "sell", "normal", "", 5100000001, 5100000001
    )


def test_binance_microsecond_option() -> None:
    """Timestamps in microseconds stay what they are."""
    [trade] = parse(binance.trade(T=1790000000122333, m=False), binance.SPOT, NOW)
    assert isinstance(trade, Trade)
    assert (trade.timestamp, trade.side) == (1790000000122333, "buy")


def test_binance_bare_frame() -> None:
    """Frames of a single-stream socket have no wrapper."""
    body = {"u": 70000000161, "s": "BTCUSDT", "b": "86750.00", "B": "1.2", "a": "86750.02", "A": "0.7"}
    [quote] = parse(dumps(body), binance.SPOT, NOW)
    assert quote == quote_of(NOW, 70000000161, levels([["86750.00", "1.2"]]), levels([["86750.02", "0.7"]]))


def test_binance_usdm_quote_has_its_own_time() -> None:
    """The futures' BBO carries the matching time."""
    body = {"e": "bookTicker", "u": 9, "E": 1790000000152, "T": 1790000000150, "s": "BTCUSDT", "ps": "BTCUSDT",
            "b": "86751.00", "B": "3.200", "a": "86751.20", "A": "1.750", "st": 1}  # fmt: skip
    [quote] = parse(dumps({"stream": "btcusdt@bookTicker", "data": body}), binance.USDM, NOW)
    assert isinstance(quote, Quote)
    assert quote.timestamp == 1790000000150000


def test_binance_empty_side() -> None:
    """A side without orders is sent as zeros."""
    [quote] = parse(binance.quote(5, "0.00", "0.00", "10", "1"), binance.SPOT, NOW)
    assert isinstance(quote, Quote)
    assert (quote.bids, quote.asks) == ([], [b'10","1'])


def test_binance_depth() -> None:
    """Ids and levels of both markets' diff books."""
    side = [["86750.00", "0.000"]]
    assert parse(binance.depth(5, 9, side, []), binance.SPOT, NOW) == [
        BookMessage("update", 1790000000200000, 5, 9, -1, levels(side), levels([]))
    ]
    assert parse(binance.usdm_depth(5, 9, 3, [], side), binance.USDM, NOW) == [
        BookMessage("update", 1790000000148000, 5, 9, 3, levels([]), levels(side))
    ]


def test_binance_snapshot() -> None:
    """A REST snapshot is a seed; spot's has no time."""
    [seed] = parse(binance.snapshot(7, [["10", "1"]], [["11", "1"]]), binance.SPOT, NOW)
    assert seed == BookMessage("seed", NOW, 7, 7, -1, levels([["10", "1"]]), levels([["11", "1"]]))


def test_binance_placeholder_trade_is_ignored() -> None:
    """`X: NA` marks an id that was used up without a trade."""
    assert parse(binance.trade(X="NA", p="0", q="0"), binance.SPOT, NOW) == [UsedUp(5100000001)]


def test_binance_insurance_trade_is_marked() -> None:
    """Insurance-fund trades are kept apart."""
    [trade] = parse(binance.trade(X="INSURANCE_FUND"), binance.SPOT, NOW)
    assert isinstance(trade, Trade)
    assert trade.kind == "insurance_fund"


def test_okx_trades_become_base_units() -> None:
    """Contracts times contract value; inverse divided by the price."""
    [spot] = parse(okx.trade(), okx.SPOT, NOW)
    [swap] = parse(okx.trade(okx.SWAP), okx.SWAP, NOW)
    [inverse] = parse(okx.trade(okx.INVERSE, px="50000"), okx.INVERSE, NOW)
    trades = [trade for trade in (spot, swap, inverse) if isinstance(trade, Trade)]
    assert [trade.amount for trade in trades] == ["12", "0.12", "0.024"]
    assert [trade.exchange_amount for trade in trades] == ["12", "12", "12"]


def test_okx_book() -> None:
    """Levels keep the exchange's units until they are published."""
    [depth] = parse(okx.book(10, 15, [["10", "3"]], [], instrument=okx.SWAP), okx.SWAP, NOW)
    assert isinstance(depth, BookMessage)
    assert (depth.kind, depth.last, depth.previous) == ("update", 15, 10)
    assert depth.bids == CheckedLevels([b'10","3'], [(10.0, 3.0)])
    assert base_levels(okx.SWAP, depth.bids.levels) == [b'10","0.03']


def test_okx_bbo() -> None:
    """The BBO has the book's sequence."""
    [quote] = parse(okx.bbo(15, "10", "1", "11", "2"), okx.SPOT, NOW)
    assert isinstance(quote, Quote)
    assert (quote.sequence, quote.timestamp) == (15, 1790000000201000)


def test_exponents_are_written_out() -> None:
    """Prices stay plain decimal strings whatever notation the exchange chose."""
    [depth] = parse(binance.depth(1, 1, [["2.2e3", "1E-5"]], []), binance.SPOT, NOW)
    assert isinstance(depth, BookMessage)
    assert depth.bids == CheckedLevels([b'2200","0.00001'], [(2200.0, 0.00001)])


@pytest.mark.parametrize(
    ("frame", "instrument"),
    [
        (dumps({"result": None, "id": 1}), binance.SPOT),
        (dumps({"stream": "btcusdt@kline_1m", "data": {"e": "kline", "s": "BTCUSDT"}}), binance.SPOT),
        (dumps({"stream": "!miniTicker@arr", "data": [{"e": "24hrMiniTicker"}]}), binance.SPOT),
        (dumps({"e": "serverShutdown", "E": 1790000000123}), binance.SPOT),
        (dumps({"stream": "!bookTicker", "data": {"u": 1, "s": "BTCUSDT", "b": "1", "B": "1"}}), binance.SPOT),
        (dumps({"stream": "btcusdt@depth5@100ms", "data": {"e": "depthUpdate", "s": "BTCUSDT"}}), binance.USDM),
        (dumps({"stream": "btcusdt@rpiDepth@500ms", "data": {"e": "depthUpdate", "s": "BTCUSDT"}}), binance.USDM),
        (dumps({"e": "indexPriceUpdate", "i": "BTCUSD"}), binance.USDM),
        (dumps({"code": -1121, "msg": "Invalid symbol."}), binance.SPOT),
        (dumps({"timezone": "UTC", "serverTime": 1790000000123, "symbols": []}), binance.SPOT),
        (dumps({"event": "subscribe", "arg": {"channel": "books", "instId": "BTC-USDT"}}), okx.SPOT),
        (dumps({"op": "subscribe", "args": []}), okx.SPOT),
        (okx.push("tickers", [{}]), okx.SPOT),
        (okx.push("candle1m", [{}]), okx.SPOT),
    ],
)
def test_recognised_and_unsupported(frame: bytes, instrument: Instrument) -> None:
    """Control frames and unsupported channels are named, not called rubbish."""
    [event] = parse(frame, instrument, NOW)
    assert isinstance(event, Ignored)


RUBBISH: list[tuple[str, bytes, Instrument, str]] = [
    ("truncated", binance.trade()[:-9], binance.SPOT, "not JSON"),
    ("invalid UTF-8", b'{"e":"trade","s":"\xff\xfe"}', binance.SPOT, "not JSON"),
    ("NaN literal", b'{"e":"trade","p":NaN}', binance.SPOT, "not JSON"),
    ("empty array", b"[]", binance.SPOT, "array"),
    ("a number", b"7", binance.SPOT, "malformed"),
    ("unknown channel", dumps({"e": "mystery", "s": "BTCUSDT"}), binance.SPOT, "unknown channel"),
    ("other symbol", binance.trade(s="ETHUSDT"), binance.SPOT, "ETHUSDT"),
    ("price as a number", binance.trade(p=86750.01), binance.SPOT, "Expected `str`"),
    ("NaN price", binance.trade(p="NaN"), binance.SPOT, "not a price"),
    ("negative amount", binance.trade(q="-1"), binance.SPOT, "not a price"),
    ("zero amount", binance.trade(q="0.0"), binance.SPOT, "not above zero"),
    ("maker flag as text", binance.trade(m="true"), binance.SPOT, "Expected `bool`"),
    ("time as text", binance.trade(T="now"), binance.SPOT, "Expected `int`"),
    ("time in seconds", binance.trade(T=1790000000), binance.SPOT, "timestamp"),
    ("negative level", binance.depth(1, 2, [["10", "-1"]], []), binance.SPOT, "not a price"),
    ("NaN level", binance.depth(1, 2, [["NaN", "1"]], []), binance.SPOT, "not"),
    ("level of zero price", binance.depth(1, 2, [["0", "1"]], []), binance.SPOT, "not above zero"),
    ("level as text", binance.depth(1, 2, ["12"], []), binance.SPOT, "not a level"),  # type: ignore[list-item]
    ("two points", binance.depth(1, 2, [["1.2.3", "1"]], []), binance.SPOT, "malformed"),
    ("out of range", binance.depth(1, 2, [["9" * 30, "1"]], []), binance.SPOT, "out of range"),
    ("ids as text", binance.depth("1", 2, [], []), binance.SPOT, "Expected `int`"),  # type: ignore[arg-type]
    ("no data", okx.push("trades", []), okx.SPOT, "without data"),
    ("unknown okx channel", okx.push("mystery", [{}]), okx.SPOT, "unknown channel"),
    ("okx side", okx.trade(side="up"), okx.SPOT, "not a side"),
    ("okx price", okx.trade(px="-1"), okx.SPOT, "not a price"),
    ("okx action", okx.book(1, 2, [], [], action="replace"), okx.SPOT, "unknown book action"),
    ("okx v3", dumps({"table": "spot/trade", "data": []}), okx.SPOT, "v3 protocol"),
    ("exponent of a billion", okx.trade(px="1e999999999"), okx.SPOT, "out of range"),
    ("okx without arg", dumps({"data": []}), okx.SPOT, "missing field 'arg'"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("frame", "instrument", "reason"), [case[1:] for case in RUBBISH], ids=[case[0] for case in RUBBISH]
)
def test_rubbish_has_a_reason(frame: bytes, instrument: Instrument, reason: str) -> None:
    """What cannot be understood says why."""
    with pytest.raises(FrameError, match=reason):
        parse(frame, instrument, NOW)


scalars = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=8)
FIELDS = (
    "e s stream data u U b a B A arg channel instId T E p q lastUpdateId bids asks action event seqId ts px sz "
    "method params result jsonrpc instrument_name change_id timestamp"
)
names = st.sampled_from(FIELDS.split())
known = st.sampled_from(
    ["trade", "depthUpdate", "bookTicker", "BTCUSDT", "BTC-USDT", "books", "trades", "bbo-tbt", "1", "update"]
)
anything = st.recursive(
    scalars | known,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=8),
    max_leaves=20,
)


@given(anything)
def test_no_json_stops_a_partition(body: Any) -> None:
    """Whatever JSON comes, it is events or a `FrameError`, never another exception."""
    for instrument in (binance.SPOT, okx.SPOT):
        try:
            parse(dumps(body), instrument, NOW)
        except FrameError:
            continue


@given(st.binary(max_size=60))
def test_no_bytes_stop_a_partition(frame: bytes) -> None:
    """Whatever bytes come, likewise."""
    try:
        parse(frame, binance.SPOT, NOW)
    except FrameError:
        return


_NUMBERS = st.one_of(
    st.decimals(0, 10**18, allow_nan=False, places=3).map(str),
    st.sampled_from(["0", "0.000", "-0", "-1", "1e5", "2E-3", "1e400", "nan", "inf", "+1", "", "1.2.3", " 1", "1_0"]),
)


@example([["1953125000000000.000", "0.000"]], (",", ":"))
@given(
    st.lists(st.lists(_NUMBERS | st.sampled_from([1, 0.5, None]), min_size=1, max_size=3), max_size=4),
    st.sampled_from([(",", ":"), (", ", ":"), (" ,\n", ":")]),
)
def test_levels_are_the_same_decoded_or_not(side: list[list[str]], separators: tuple[str, str]) -> None:
    """Reading a side straight from JSON accepts, writes out and refuses what checking its decoded lists does."""
    text = msgspec.Raw(json.dumps(side, separators=separators).encode())
    try:
        expected = levels(side)
    except (FrameError, ValueError, IndexError, TypeError) as error:
        with pytest.raises(type(error)):
            decoded_sides(text, text)
    else:
        assert decoded_sides(text, text) == (expected, expected)


_TOKENS = st.one_of(
    st.decimals(0, 10**18, allow_nan=False, places=3).map(str),
    st.sampled_from(
        ["0", "0.000", "7", "-0", "-0.0", "-1", "1e5", "2E-3", "1e400", '"1.5"', '"nan"', "null", "true", " 8", "[]"]
    ),
)


def test_escaped_digits() -> None:
    """JSON may write a digit otherwise; a level never does."""
    text = msgspec.Raw(rb'[["\u0031.5","\u0032"]]')
    assert decoded_sides(text, text)[0] == levels([["1.5", "2"]])


@example(["1,-0"])
@example(["1953125000000000.000,0.000"])
@given(st.lists(st.lists(_TOKENS, min_size=1, max_size=3).map(",".join), max_size=4))
def test_numbers_are_the_same_cut_or_not(side: list[str]) -> None:
    """Cutting a side of JSON numbers accepts, writes out and refuses what decoding them one by one does."""
    text = b"[%b]" % ",".join(f"[{level}]" for level in side).encode()
    try:
        expected = numeric_levels(exact(text))
    except (FrameError, ValueError, TypeError) as error:
        with pytest.raises(type(error)):
            number_levels(msgspec.Raw(text))
    else:
        assert number_levels(msgspec.Raw(text)) == expected


UNREPRESENTABLE: list[tuple[str, bytes, Instrument, str]] = [
    ("too many places", binance.trade(p="1." + "1" * 19), binance.SPOT, "more than 18 decimal places"),
    ("too small a price", okx.trade(okx.INVERSE, px="1e-40", sz="1e17"), okx.INVERSE, "out of range"),
    ("too large an amount", okx.trade(okx.INVERSE, px="1e-10", sz="1e17"), okx.INVERSE, "out of range"),
    (
        "a level of them",
        binance.depth(1, 2, [["10", "1"]], [["11", "0." + "1" * 19]]),
        binance.SPOT,
        "18 decimal places",
    ),
    (
        "among many",
        binance.depth(1, 2, [["10.5", "0.25"]] * 99 + [["10.6", "1." + "7" * 20]], []),
        binance.SPOT,
        "18 dec",
    ),
    ("a quote of them", binance.quote(1, "10", "1." + "1" * 19, "11", "1"), binance.SPOT, "18 decimal places"),
    ("an okx level", okx.book(1, 2, [["1." + "1" * 19, "1"]], []), okx.SPOT, "18 decimal places"),
    ("a tiny seed", binance.snapshot(1, [["1e-40", "1"]], []), binance.SPOT, "out of range"),
    ("base units", okx.book(1, 2, [["1e-10", "1e17"]], [], instrument=okx.INVERSE), okx.INVERSE, "out of range"),
    ("beyond 2299", binance.trade(T=10_413_792_000_000), binance.SPOT, "not a timestamp"),
    ("sequence of 70 bits", okx.book(1, 1 << 63, [], []), okx.SPOT, "sequence ids out of range"),
    ("previous id of 64 bits", binance.usdm_depth(1, 2, 1 << 63, [], []), binance.USDM, "malformed: Expected `int` <="),
    ("a kind of a megabyte", binance.trade(X="X" * 1_000_000), binance.SPOT, "not a trade kind"),
    ("an id of a megabyte", okx.trade(tradeId="9" * 1_000_000), okx.SPOT, "not a trade id"),
    ("an id with a newline", okx.trade(tradeId="1\n2"), okx.SPOT, "not a trade id"),
    ("a name of a megabyte", binance.trade(s="S" * 1_000_000), binance.SPOT, "frame for 'SSS"),
]


@pytest.mark.parametrize(
    ("frame", "instrument", "reason"), [case[1:] for case in UNREPRESENTABLE], ids=[case[0] for case in UNREPRESENTABLE]
)
def test_what_no_column_holds_is_refused(frame: bytes, instrument: Instrument, reason: str) -> None:
    """One dead letter with a short reason, before anything is changed."""
    with pytest.raises(FrameError, match=reason) as caught:
        parse(frame, instrument, NOW)
    assert len(str(caught.value)) <= 300


def test_the_largest_numbers() -> None:
    """20 digits before the point, 18 behind it, and zeros beyond them, are taken."""
    large, small = "9" * 19 + "." + "1" * 18, "0.000000000000000001"
    [trade] = parse(binance.trade(p=small + "000", q="0" * 30 + large), binance.SPOT, NOW)
    assert isinstance(trade, Trade)
    assert (trade.price, trade.amount) == (small, large)
    [depth] = parse(binance.depth(1, 2, [[small, large]] * 400, [["1e-18", "1E19"]]), binance.SPOT, NOW)
    assert isinstance(depth, BookMessage)
    assert depth.bids.levels == [f'{small}","{large}'.encode()] * 400
    assert depth.asks.levels == [b'0.000000000000000001","10000000000000000000']


def test_what_is_there_does_not_become_nothing() -> None:
    """An amount below the last place of a column is published as that place: zero would delete the level."""
    assert base_levels(okx.INVERSE, [b'90000000000000000000","0.001']) == [
        b'90000000000000000000","0.000000000000000001'
    ]
    assert base_levels(okx.INVERSE, [b'90000","0']) == [b'90000","0']


@pytest.mark.parametrize("size", ["", "0", "-1", "NaN", "1e400", "many"])
def test_an_unknown_contract_size(size: str) -> None:
    """Nothing is computed with a contract size that is none."""
    instrument = okx.SWAP.model_copy(update={"contract_size": size})
    with pytest.raises(FrameError, match="contract size is unknown"):
        parse(okx.trade(instrument), instrument, NOW)
    with pytest.raises(FrameError, match="contract size is unknown"):
        parse(okx.book(1, 2, [["10", "1"]], [], instrument=instrument), instrument, NOW)


@pytest.mark.parametrize(
    ("frame", "instrument"),
    [
        (dumps([{"e": "24hrTicker", "s": "BTCUSDT"}, {"e": "24hrTicker", "s": "ETHUSDT"}]), binance.SPOT),
        (dumps({"stream": "!forceOrder@arr", "data": {"e": "forceOrder", "o": {"s": "BTCUSDT"}}}), binance.USDM),
        (dumps({"stream": "!contractInfo", "data": {"e": "contractInfo", "s": "BTCUSDT"}}), binance.USDM),
        (dumps({"e": "markPrice_kline", "ps": "BTCUSD"}), binance.USDM),
        (dumps({"arg": {"channel": "sprd-bbo-tbt", "sprdId": "BTC-USDT_BTC-USDT-SWAP"}, "data": [{}]}), okx.SPOT),
        (dumps({"arg": {"channel": "option-trades", "instFamily": "BTC-USD"}, "data": [{}]}), okx.SPOT),
        (dumps({"arg": {"channel": "adl-warning", "instType": "SWAP"}, "data": [{}]}), okx.SPOT),
    ],
)
def test_channels_that_nobody_supports(frame: bytes, instrument: Instrument) -> None:
    """They are named, whatever their fields are called."""
    [event] = parse(frame, instrument, NOW)
    assert isinstance(event, Ignored)


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
    """A missing field, an unknown channel and a wrong type are called so, not by an exception's name."""
    with pytest.raises(FrameError, match=f"^{reason}"):
        parse(frame, instrument, NOW)
