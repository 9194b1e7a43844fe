"""Whatever an exchange sends, processing raises nothing, and every event can be encoded and stored."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import EVENTS
from schemas.exchanges.okx import index_of
from schemas.instruments import Instrument, assumed_instrument
from schemas.markers import Definition, Tick
from schemas.raw import encode_line, encode_marker
from schemas.settings import load_settings
from streams.raw_processor import RawProcessor
from tests.frames import MS, T0, binance, deribit, htx, okx

SETTINGS = load_settings()
CONTRACTS = htx.LINEAR.model_copy(update={"contract_size": "100", "inverse": True})
DERIBIT_SIDE = '[["new",86749.5,4200.0],["change",86750,10]]'


def okx_figures(instrument: Instrument) -> list[bytes]:
    """Return frames of the channels that OKX has for derivatives of a kind."""
    match instrument.kind:
        case "perp":
            index = okx.index_price(index_of(instrument.exchange_symbol))
            figures = [okx.funding_rate(instrument), okx.mark_price(instrument), index, okx.open_interest(instrument)]
            return [*figures, okx.liquidations(instrument=instrument)]
        case "future":
            return [okx.mark_price(instrument), okx.settlement_price()]
        case "option":
            return [okx.mark_price(instrument), okx.option_summary()]
    return [okx.fill(instrument)]


# Frames of every channel, in an order that makes a live book.
FIXTURES: list[tuple[Instrument, list[bytes]]] = [
    (binance.SPOT, [
        binance.snapshot(100, [["10", "1"], ["9.5", "2"]], [["11", "1"]]),
        binance.depth(101, 102, [["10", "3"]], [["12", "0.5"]]),
        binance.quote(102, "10", "3", "11", "1"),
        binance.trade(),
        binance.ticker(),
        binance.kline(),
        binance.partial_book(binance.SPOT, lastUpdateId=103, bids=[["10", "3"]], asks=[["11", "1"]]),
    ]),
    (binance.USDM, [
        binance.snapshot(100, [["10", "1"], ["9.5", "2"]], [["11", "1"]]),
        binance.usdm_depth(99, 102, 98, [["10", "3"]], [["12", "0.5"]]),
        binance.trade(X="INSURANCE_FUND"),
        binance.mark_price(),
        binance.mini_ticker(binance.USDM),
        binance.kline(binance.USDM, x=True),
        binance.continuous_kline(),
        binance.forced_order(),
        binance.partial_book(),
    ]),
    (binance.USDM, [binance.partial_book(), binance.aggregated()]),
    (binance.COINM, [
        binance.snapshot(100, [["10", "1"], ["9.5", "2"]], [["11", "1"]]),
        binance.coinm("depth@100ms", e="depthUpdate", E=MS, T=MS, U=99, u=102, pu=98, b=[["10", "3"]], a=[["12", "5"]]),
        binance.coinm("bookTicker", e="bookTicker", E=MS, T=MS, u=102, b="10", B="3", a="11", A="1"),
        binance.coinm("trade", e="trade", E=MS, T=MS, t=5100000001, p="50000.0", q="3", m=False),
        binance.mark_price(binance.COINM),
        binance.ticker(binance.COINM),
        binance.kline(binance.COINM),
        binance.continuous_kline("BTCUSD", "CURRENT_QUARTER"),
        binance.forced_order(binance.COINM),
        binance.partial_book(binance.COINM),
    ]),
    (binance.COINM, [binance.partial_book(binance.COINM), binance.aggregated(binance.COINM)]),
    *((instrument, [
        okx.book(-1, 5, [["10", "3"], ["9", "4"]], [["11", "5"]], "snapshot", instrument),
        okx.book(5, 6, [["10", "4"]], [["12", "1"]], instrument=instrument),
        okx.bbo(6, "10", "4", "11", "5", instrument),
        okx.trade(instrument),
        okx.ticker(instrument),
        okx.candles(okx.candle_row(), okx.candle_row("1"), instrument=instrument),
        *okx_figures(instrument),
    ]) for instrument in (okx.SPOT, okx.SWAP, okx.INVERSE, okx.FUTURE, okx.OPTION)),
    (htx.SPOT, [
        htx.mbp(12, 11, "[[86750.5,1e-05]]", "[[86751.1,0.75],[86752,0]]"),
        htx.mbp_snapshot('{"seqNum":11,"bids":[[86750.5,1.0]],"asks":[[86751.1,0.75]]}'),
        htx.spot_bbo(),
        htx.depth_step(htx.SPOT, 0, "[[86750.5,1.0]]", "[[86751.1,0.75]]"),
        htx.refreshed(20, "[[86750.5,1.0]]", "[[86751.1,0.75]]"),
        htx.trades(htx.SPOT, htx.spot_row(), htx.spot_row(tradeId="104400550012")),
        htx.spot_detail(),
        htx.spot_kline("1mon"),
    ]),
    *((instrument, [
        htx.high_frequency("snapshot", 100, "[[86750.9,12]]", "[[86751,3],[86752,7]]"),
        htx.high_frequency("update", 101, "[[86750.9,0],[86749,1]]"),
        htx.linear_bbo(),
        htx.trades(instrument, htx.linear_row()),
        htx.merged(6),
        htx.linear_detail(instrument),
        htx.linear_kline(instrument=instrument),
        htx.index_kline("mark_price.1min"),
        htx.index_kline("index.1min"),
        htx.funding_rates(),
        htx.liquidations(htx.liquidation_row(), htx.liquidation_row(direction="buy")),
    ]) for instrument in (htx.LINEAR, CONTRACTS)),
    (deribit.PERPETUAL, [
        deribit.book(500, DERIBIT_SIDE, '[["new",86751,1200.0]]'),
        deribit.book(731, '[["change",86749.5,4e3]]', '[["delete",86751,0]]', previous=500),
        deribit.quote("86749.5", "10", "86750.5", "300.0"),
        deribit.trades(deribit.trade_row(), deribit.trade_row(trade_id='"2"')),
        deribit.ticker(),
        deribit.candle(),
        deribit.whole_book("[[86749.5,4200.0]]", "[[86751,1200.0]]"),
    ]),
    (deribit.OPTION, [
        deribit.book(500, '[["new",0.0115,4.5]]', name=deribit.OPTION.exchange_symbol),
        deribit.ticker(deribit.OPTION),
        deribit.candle(deribit.OPTION, "1D", open="0.0115", high="0.012", low="0.0110", close="0.0110"),
    ]),
]  # fmt: skip

ODD: list[Any] = [
    None, True, False, -1, 0, -0.0, 0.1, 1e300, 1e-300, 1e-40, 1 << 53, (1 << 63) - 1, 1 << 63, -(1 << 63),
    "", "0", "-0", "-1", "1e-40", "1E40", "1e400", "1e-400", "1e999999999", "1e-18", "1e-19", "9e19", "1e20", "NaN",
    "-Infinity", "inf", "1_0", "+1", " 1", "1.2.3", ".", "1.", ".5", "0.0000000000000000001", "9" * 20, "9" * 21,
    "1." + "1" * 18, "1." + "1" * 19, "1." + "0" * 30, "0" * 30 + "1", "1" * 5000, "１２", "\x00", "😀" * 70,
    "x" * 300, [], {}, [[]], [["1"]], [[1, 2, 3, 4]], ["new", "1", "1"], [["1", "1"]] * 3, [{}, {}, None],
    1_000, 1_790_000_000, 1_790_000_000_000, 4_000_000_000_000, 20_000_000_000_000, 1_790_000_000_000_000,
    20_000_000_000_000_000, "1790000000000", "20000000000000", "trade", "update", "snapshot", "buy", "NA",
]  # fmt: skip
TOKENS = [b"1e-40", b"1e40", b"1e400", b"1" * 5000, b"0.0000000000000000001", b"1." + b"7" * 25, b"-1", b"-0", b"-0.0",
          b"NaN", b"9" * 20, b"9" * 21, b"0." + b"0" * 17 + b"1", b"[" * 3000, b'"\\ud800"', b'"\\u0031"', b"\xff",
          b"null", b"\n", b" "]  # fmt: skip


def places(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of everything in a JSON document, including containers."""
    if path:
        yield path
    inner = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for key, value in inner:
        yield from places(value, (*path, key))


def changed(body: Any, path: tuple[Any, ...], change: str, value: Any) -> Any:
    """Return the document with one place dropped, replaced, repeated, or with another value inserted there."""
    body = orjson.loads(orjson.dumps(body))
    holder = body
    for key in path[:-1]:
        holder = holder[key]
    if change == "drop":
        del holder[path[-1]]
    elif change == "replace":
        holder[path[-1]] = value
    elif isinstance(holder, list):
        holder.insert(path[-1], holder[path[-1]] if change == "repeat" else value)
    else:
        holder[f"{path[-1]}2"] = value
    return body


@st.composite
def mutated(draw: st.DrawFn, frame: bytes) -> bytes:
    """Draw a frame with one or two fields changed, and sometimes its bytes."""
    body = orjson.loads(frame)
    for _ in range(draw(st.integers(1, 2))):
        path = draw(st.sampled_from(list(places(body)) or [()]))
        if path:
            change = draw(st.sampled_from(["drop", "replace", "replace", "replace", "repeat", "insert"]))
            body = changed(body, path, change, draw(st.sampled_from(ODD)))
    text = orjson.dumps(body)
    if draw(st.integers(0, 2)) == 0 and (numbers := list(re.finditer(rb'"?[0-9][0-9.e+-]*"?', text))):
        found = draw(st.sampled_from(numbers))
        token = draw(st.sampled_from(TOKENS))
        text = text[: found.start()] + (token if draw(st.booleans()) else b'"%b"' % token) + text[found.end() :]
    if draw(st.integers(0, 9)) == 0:
        text = text[: draw(st.integers(0, len(text)))]
    return text


def check_storable(topic: str, value: bytes) -> None:
    """Check that an event is valid, and that every number in it fits its column."""
    body = orjson.loads(value)
    EVENTS[topic].model_validate(body)
    for path in places(body):
        found = body
        for key in path:
            found = found[key]
        if isinstance(found, int):
            assert -(1 << 63) <= found < 1 << 63, path
        if path[-1] in ("timestamp", "local_timestamp"):
            assert 0 <= found < 10_413_792_000_000_000, path
        if isinstance(found, str) and (
            path[-1] in ("price", "amount", "exchange_amount") or path[0] in ("bids", "asks")
        ):
            assert re.fullmatch(r"[0-9]*\.?[0-9]*", found), (path, found)
            assert -int(Decimal(found).as_tuple().exponent) <= 18, (path, found)
            assert Decimal(found) < 10**20, (path, found)
        if isinstance(found, str) and path[-1] in ("id", "kind", "side"):
            assert 0 < len(found) <= 64, (path, found[:80])
            assert found.isprintable()
        if topic == "dead_letters" and path == ("reason",):
            assert 0 < len(found) <= 400
            assert not re.search(r"(Error|Exception)\b", found), found


def check(instrument: Instrument, lines: list[bytes]) -> None:
    """Check that every frame is processed, with at most one dead letter, and that the state can be checkpointed."""
    exchange, key = instrument.exchange, instrument.key
    partition = RawProcessor(exchange, 0, SETTINGS)
    partition.process(0, encode_marker(T0, key, Definition(instrument)))
    for offset, frame in enumerate(lines, 1):
        out = partition.process(offset, encode_line(T0 + offset, key, frame))
        letters = 0
        for topic, _, value in out.records:
            if topic in EVENTS:
                check_storable(topic, value)
                letters += topic == "dead_letters" and not orjson.loads(value)["reason"].startswith("row ")
        assert letters <= 1
    out = partition.process(len(lines) + 1, encode_marker(T0 + 200 * 10**9, f"{exchange}:*", Tick()))
    for topic, _, value in out.records:
        if topic in EVENTS:
            check_storable(topic, value)
    for entry in partition.take_changed():
        partition.load(entry, partition.dump(entry))


@pytest.mark.parametrize(
    ("instrument", "good"), FIXTURES, ids=[f"{instrument.feed}-{n}" for n, (instrument, _) in enumerate(FIXTURES)]
)
@settings(max_examples=150)
@given(st.data())
def test_mutated_frames(instrument: Instrument, good: list[bytes], data: st.DataObject) -> None:
    """Frames with dropped, retyped, huge, tiny or negative fields, odd tokens or a lost end give events or a reason."""
    number = data.draw(st.integers(0, len(good) - 1))
    bad = data.draw(mutated(good[number]))
    check(instrument, [*good[:number], bad, *good[number:]])


@pytest.mark.parametrize(("instrument", "good"), FIXTURES)
def test_each_odd_value_in_each_place(instrument: Instrument, good: list[bytes]) -> None:
    """So do frames in which each single value is replaced in turn."""
    for frame in good:
        body = orjson.loads(frame)
        lines = [orjson.dumps(changed(body, path, "replace", odd)) for path in places(body) for odd in ODD]
        check(instrument, [*good, *lines])


def test_the_fixtures_are_good() -> None:
    """Unchanged, they give events and no dead letter."""
    for instrument, good in FIXTURES:
        partition = RawProcessor(instrument.exchange, 0, SETTINGS)
        topics = [
            topic
            for offset, frame in enumerate(good)
            for topic, _, _ in partition.process(offset, encode_line(T0, instrument.key, frame)).records
        ]
        assert "market.books" in topics, instrument.feed
        assert "dead_letters" not in topics, instrument.feed
        assert assumed_instrument(instrument.feed, instrument.exchange, instrument.symbol).symbol == instrument.symbol
