"""HTX's payloads are parsed to messages, exact to the digit, and everything else to a reason."""

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
from tests.frames import MS, dumps, htx
from tests.frames.htx import LINEAR, SPOT, push
from tests.streams.normalize.strategies import anything

NOW = 1_790_000_000_000_001  # µs of receipt


def test_spot_trades() -> None:
    """A frame has several. The key is `tradeId`, as `id` has more than 64 bits and arrives rounded."""
    first, second = parse(
        htx.trades(SPOT, htx.spot_row(), htx.spot_row(tradeId="104400550012", direction='"sell"')), SPOT, NOW
    )
    assert first == Trade((MS + 173) * 1000, "104400550011", "86750.62", "0.0125", "buy", "normal", "0.0125")
    assert astuple(second)[1:5] == ("104400550012", "86750.62", "0.0125", "sell")


def test_linear_trades() -> None:
    """Amounts are contracts: they become coins, and the contracts are kept as well."""
    [trade] = parse(htx.trades(LINEAR, htx.linear_row()), LINEAR, NOW)
    assert trade == Trade((MS + 335) * 1000, "5007009000001", "86750.3", "0.002", "buy", "normal", "2")


def test_spot_book() -> None:
    """Each update names the id that it follows. With 5 or 20 levels, a side that did not change is omitted."""
    [update] = parse(htx.mbp(12, 11, asks="[[86751.1,0.75],[86752,0]]"), SPOT, NOW)
    assert update == BookMessage(
        "update", (MS + 2) * 1000, 12, 12, 11, levels([]), levels([["86751.1", "0.75"], ["86752", "0"]])
    )
    [one_sided] = parse(htx.mbp(13, 12, bids="[[86750.5,1e-05]]", asks="", levels=5), SPOT, NOW)
    assert astuple(one_sided)[3:] == (13, 12, levels([["86750.5", "0.00001"]]), levels([]), 0)


def test_spot_snapshot() -> None:
    """The response to a request is a seed, to be aligned with the stream by its id. An empty one is ignored."""
    [snapshot] = parse(htx.mbp_snapshot('{"seqNum":12,"bids":[[86750.5,1.0]],"asks":[[86751.1,0.75]]}'), SPOT, NOW)
    assert snapshot == BookMessage(
        "seed", MS * 1000, 12, 12, -1, levels([["86750.5", "1.0"]]), levels([["86751.1", "0.75"]])
    )
    assert parse(htx.mbp_snapshot("null"), SPOT, NOW) == [Ignored("empty snapshot")]


def test_linear_book() -> None:
    """Snapshots are part of the stream, and versions are consecutive. Sides may be null."""
    [snapshot] = parse(htx.high_frequency("snapshot", 100, "[[86750.9,12]]", "null"), LINEAR, NOW)
    assert snapshot == BookMessage("snapshot", MS * 1000, 100, 100, -1, levels([["86750.9", "12"]]), levels([]))
    [update] = parse(htx.high_frequency("update", 101, "[[86750.9,0]]"), LINEAR, NOW)
    assert update == BookMessage("update", MS * 1000, 101, 101, 100, levels([["86750.9", "0"]]), levels([]))


@pytest.mark.parametrize("step", range(20))
def test_whole_books(step: int) -> None:
    """Steps 0 and 6 have the book's own prices, others merged ones; exponents are written out."""
    [book] = parse(htx.depth_step(SPOT, step, "[[9.121E-7,92730.24]]", "[[9.2E-7,66053]]"), SPOT, NOW)
    assert astuple(book)[:5] == ("snapshot", MS * 1000, 99, 99, -1)
    assert astuple(book)[5:7] == (levels([["0.0000009121", "92730.24"]]), levels([["0.00000092", "66053"]]))


def test_whole_books_of_swaps() -> None:
    """Their version is only a second, so the id of the last match is their sequence. A side may be missing."""
    [book] = parse(htx.merged(6, asks=""), LINEAR, NOW)
    assert astuple(book)[:5] == ("snapshot", MS * 1000, 500700811, 500700811, -1)
    assert astuple(book)[5:7] == (levels([["86750.9", "12"]]), levels([]))


def test_refreshed_books() -> None:
    """The best levels of a spot book, whose only time is that of sending."""
    [book] = parse(htx.refreshed(20, "[[86750.5,1.0]]", ""), SPOT, NOW)
    assert astuple(book)[:5] == ("snapshot", (MS + 2) * 1000, 180500000012, 180500000012, -1)
    assert astuple(book)[5:7] == (levels([["86750.5", "1.0"]]), levels([]))


def test_quotes() -> None:
    """Spot numbers its quotes separately from its books. Either side may be missing."""
    assert parse(htx.spot_bbo(), SPOT, NOW) == [
        quote_of(MS * 1000, 0, levels([["86751.01", "1.1"]]), levels([["86751.02", "0.42"]]))
    ]
    assert parse(htx.linear_bbo(), LINEAR, NOW) == [
        quote_of(MS * 1000, 0, levels([["86750.9", "12"]]), levels([["86751.9", "77"]]))
    ]
    assert parse(htx.spot_bbo(bid="null"), SPOT, NOW) == [
        quote_of(MS * 1000, 0, levels([]), levels([["86751.02", "0.42"]]))
    ]
    for missing in ("null", ""):
        assert parse(htx.linear_bbo(ask=missing), LINEAR, NOW) == [
            quote_of(MS * 1000, 0, levels([["86750.9", "12"]]), levels([]))
        ]


def test_case_of_swaps() -> None:
    """Swaps are named in the case that the client used to subscribe, or in upper case."""
    [quote] = parse(htx.linear_bbo().replace(b"BTC-USDT", b"btc-usdt"), LINEAR, NOW)
    assert isinstance(quote, Quote)


@given(st.decimals("0.00000001", "9999999.99", places=8).filter(bool), st.booleans())
def test_prices_are_exact(price: Decimal, scientific: bool) -> None:
    """A JSON number keeps all its digits, whatever its notation."""
    text = f"{price:e}" if scientific else f"{price}"
    [quote] = parse(htx.spot_bbo(bid=text), SPOT, NOW)
    assert isinstance(quote, Quote)
    text, _ = texts_of(quote.bids[0])
    assert Decimal(text) == price
    assert "e" not in text.lower()


@pytest.mark.parametrize(
    ("frame", "name"),
    [
        (b'{"ping":1790000000000}', "control"),
        (b'{"op":"ping","ts":"1790000000000"}', "control"),
        (b'{"id":"1","status":"ok","subbed":"market.btcusdt.bbo","ts":1790000000000}', "control"),
        (b'{"status":"error","err-code":"bad-request","err-msg":"invalid topic","id":"1","ts":1}', "control"),
        (push(LINEAR, "basis.1min.open", "{}"), "basis.1min.open"),
        (push(LINEAR, "premium_index.1min", "{}"), "premium_index.1min"),
        (b'{"ch":"market.BTC_CQ.estimated_rate.1min","ts":1,"tick":{}}', "estimated_rate.1min"),
        (b'{"id":"1","rep":"market.btcusdt.kline.1min","status":"ok","data":[]}', "kline.1min"),
        (b'{"op":"notify","topic":"public.BTC-USDT.contract_info","ts":1,"data":[]}', "contract_info"),
        (b'{"op":"notify","topic":"public.*.contract_elements","ts":1,"data":[]}', "contract_elements"),
        (b'{"ch":"market.btcusdt.trade.detail","status":"ok","ts":1,"tick":{"data":[]}}', "rest"),
        (b'{"status":"ok","data":1790000000000}', "rest"),
        (b'{"ch":"market.overview","ts":1,"data":[]}', "overview"),
        (b'{"ch":"market.tickers","ts":1,"data":[]}', "tickers"),
        (b'{"rep":"market.overview","ts":1,"data":[]}', "overview"),
        (b'{"ch":"market.btc3lusdt.nav","ts":1,"tick":{}}', "nav"),
    ],
)
def test_recognised_but_unsupported(frame: bytes, name: str) -> None:
    """Control frames, unsupported channels and REST responses are ignored by name, not rejected as malformed."""
    assert parse(frame, LINEAR if b"BTC-USDT" in frame else SPOT, NOW) == [Ignored(name)]


MALFORMED: list[tuple[str, bytes, Instrument, str]] = [
    ("truncated", htx.spot_bbo()[:-9], SPOT, "not JSON"),
    ("still compressed", b"\x1f\x8b\x08\x00", SPOT, "not JSON"),
    ("a number", b"7", SPOT, "malformed"),
    ("no known field", b'{"hello":1}', SPOT, "neither data nor a response"),
    ("unknown channel", push(SPOT, "mystery", "{}"), SPOT, "unknown channel"),
    ("levels not a number", push(SPOT, "mbp.many", "{}"), SPOT, "unknown channel"),
    ("best levels not a number", push(SPOT, "mbp.refresh.all", "{}"), SPOT, "unknown channel"),
    ("step not a number", push(SPOT, "depth.steps", "{}"), SPOT, "unknown channel"),
    ("whole book without id", push(SPOT, "mbp.refresh.20", "{}"), SPOT, "missing field 'seqNum'"),
    ("unknown notification", b'{"op":"notify","topic":"public.BTC-USDT.mystery"}', LINEAR, "unknown channel"),
    ("no market", b'{"ch":"shop.btcusdt.bbo","ts":1,"tick":{}}', SPOT, "unknown channel"),
    ("other instrument", htx.spot_bbo(), LINEAR, "frame for 'btcusdt' received on the subscription of 'BTC-USDT'"),
    ("other snapshot", htx.mbp_snapshot('{"seqNum":1}'), LINEAR, "frame for 'btcusdt'"),
    ("no tick", b'{"ch":"market.btcusdt.bbo","ts":1}', SPOT, "missing field 'tick'"),
    ("unknown and without tick", b'{"ch":"market.btcusdt.mystery","ts":1,"data":[]}', SPOT, "unknown channel: 'myst"),
    ("all markets", b'{"ch":"market.mystery","ts":1}', SPOT, "'' received|has no|unknown channel|for ''"),
    (
        "account channel",
        b'{"action":"push","ch":"orders#btcusdt","data":{}}',
        SPOT,
        "unknown channel: 'orders#btcusdt'",
    ),
    ("notification without topic", b'{"op":"notify","data":[]}', SPOT, "unknown channel: None"),
    ("side", htx.trades(SPOT, htx.spot_row(direction='"up"')), SPOT, "not a side"),
    ("rounded id", htx.trades(SPOT, htx.spot_row(tradeId="")), SPOT, "not an id"),
    ("zero amount", htx.trades(SPOT, htx.spot_row(amount="0.0")), SPOT, "not above zero"),
    ("negative price", htx.trades(SPOT, htx.spot_row(price="-1.5")), SPOT, "not a price"),
    ("time as text", htx.trades(SPOT, htx.spot_row(ts='"now"')), SPOT, "timestamp"),
    ("time in seconds", htx.linear_bbo(ts="1790000000"), LINEAR, "timestamp"),
    ("id as text", htx.mbp(1, 0).replace(b":1,", b':"1",'), SPOT, "not an id"),
    ("negative id", htx.mbp(5, -1), SPOT, "not an id"),
    ("id beyond 64 bits", htx.high_frequency("update", 1 << 63), LINEAR, "not an id"),
    ("event", htx.high_frequency("replace", 3), LINEAR, "unknown book event"),
    ("negative level", htx.mbp(2, 1, "[[86750.5,-1.0]]"), SPOT, "not a price"),
    ("NaN", htx.mbp(2, 1, '[["NaN",1.0]]'), SPOT, "not a price"),
    ("true", htx.mbp(2, 1, "[[true,1.0]]"), SPOT, "not a decimal"),
    ("a level of one", htx.mbp(2, 1, "[[86750.5]]"), SPOT, "malformed"),
    ("exponent of a billion", htx.spot_bbo(bid="1e999999999"), SPOT, "out of range"),
]


@pytest.mark.parametrize(
    ("frame", "instrument", "reason"), [case[1:] for case in MALFORMED], ids=[case[0] for case in MALFORMED]
)
def test_malformed_frames_have_a_reason(frame: bytes, instrument: Instrument, reason: str) -> None:
    """A malformed frame is rejected, with what is wrong with it."""
    with pytest.raises(FrameError, match=reason):
        parse(frame, instrument, NOW)


@given(
    st.sampled_from(["bbo", "trade.detail", "mbp.150", "depth.size_150.high_freq", "depth.step0"]),
    st.sampled_from([SPOT, LINEAR]),
    anything,
)
def test_no_json_stops_a_partition(channel: str, instrument: Instrument, body: Any) -> None:
    """Any JSON, as a frame, a channel's tick or a snapshot, is parsed to messages or to a `FrameError`."""
    topic = f"market.{instrument.exchange_symbol}.{channel}"
    for frame in (body, {"ch": topic, "ts": MS, "tick": body}, {"rep": topic, "ts": MS, "data": body}):
        try:
            parse(dumps(frame), instrument, NOW)
        except FrameError:
            continue
