"""All connectors on malformed input: an entry does not affect the others, and no frame raises an error."""

import zlib
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from typing import Any, ClassVar, Literal

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from ingest.clock import compare_clock
from ingest.exchanges import CONNECTORS, carried_by_none, connectors_of, of_no_feed
from ingest.exchanges.base import ChannelRow, Connector, Variant
from ingest.exchanges.okx import Okx
from schemas.channels import CORE_CHANNELS
from schemas.errors import ExchangeError, SettingsError
from schemas.feeds import FEEDS
from schemas.settings import load_settings
from schemas.symbols import Selection
from tests.ingest.listings import ROWS, SYMBOLS, StubRest, connector, enveloped, routes

EVERYTHING = Selection(["*", "BTC-USD-*-*-C", "BTC-USD-*-*-P"])  # OKX lists the options of the families that are named
UNUSUAL: list[Any] = [
    None,
    "",
    0,
    -1,
    True,
    [],
    {},
    "\x00",
    "a b",
    "1e999999",
    1e300,
    2**64 - 1,
    "NaN",
    [[]],
    "x" * 5000,
]
JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(), st.sampled_from(UNUSUAL)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=5,
)
each_feed = pytest.mark.parametrize("feed", CONNECTORS)


@each_feed
async def test_one_malformed_entry(feed: str) -> None:
    """An entry with a missing, null, empty or mistyped field is reported once, and does not affect the others."""
    rows, exchange = ROWS[feed](), connector(feed)
    [symbol, *others] = SYMBOLS[feed]
    for field in rows[0]:
        for value in (*UNUSUAL, KeyError):
            malformed = {name: found for name, found in rows[0].items() if name != field}
            malformed |= {} if value is KeyError else {field: value}
            with capture_logs() as logs:
                for _ in range(2):
                    found = await exchange.instruments(StubRest(feed, [malformed, *rows[1:]]), EVERYTHING)
                    assert set(others) <= set(found)
            reported = [(entry["name"], entry["reason"]) for entry in logs if entry["log_level"] == "warning"]
            assert len(reported) == len(set(reported)) <= 1
    assert symbol in await exchange.instruments(StubRest(feed, rows), EVERYTHING)


@pytest.mark.parametrize(
    ("feed", "changes"),
    [
        ("binance-usdm", {"contractType": None}),
        ("binance-usdm", {"contractType": ""}),
        ("binance-usdm", {"contractType": "PERPETUAL_DELIVERING"}),
        ("binance-usdm", {"baseAsset": None}),
        ("binance-spot", {"quoteAsset": None}),
        ("binance-spot", {"filters": []}),
        ("okx", {"tickSz": ""}),
        ("okx", {"instId": None}),
        ("htx-spot", {"bc": None}),
        ("htx-spot", {"pp": "2"}),
        ("htx-linear", {"contract_size": None}),
        ("htx-linear", {"price_tick": 0}),
        ("deribit", {"tick_size": None}),
        ("deribit", {"instrument_type": "future"}),
    ],
)
async def test_skipped_and_reported(feed: str, changes: dict[str, Any]) -> None:
    """An unusable entry is skipped, and its report names the feed, the entry and the reason."""
    rows, exchange = ROWS[feed](), connector(feed)
    with capture_logs() as logs:
        for _ in range(3):
            found = await exchange.instruments(StubRest(feed, [rows[0] | changes, *rows[1:]]), EVERYTHING)
    assert SYMBOLS[feed][0] not in found
    assert set(SYMBOLS[feed][1:]) <= set(found)
    [report] = [entry for entry in logs if entry["event"] == "skipped"]
    assert report["feed"] == feed
    assert report["name"]
    assert report["reason"]
    assert found.skipped == {report["name"]}


@pytest.mark.parametrize("changes", [{"contractType": ""}, {"contractType": "PERPETUAL_DELIVERING"}, {}])
async def test_overlapping_patterns(changes: dict[str, Any]) -> None:
    """A futures entry that looks like a spot pair does not stop the feed whose patterns match it."""
    rows = ROWS["binance-usdm"]()
    listing = [rows[0] | changes, *rows[1:]]
    found = await connector("binance-usdm").instruments(
        StubRest("binance-usdm", listing), Selection(["*-USDT", "*-USDT-PERP"])
    )
    assert "BTC-USDT" not in found
    assert ("BTC-USDT-PERP" in found) == (not changes)
    assert "ETH-USDT-PERP" in found


@pytest.mark.parametrize(
    ("feed", "field", "unknown"),
    [
        ("okx", "ctVal", ["", None, "0"]),
        ("okx", "ctMult", ["", None]),
        ("okx", "ctType", ["", None]),
        ("htx-linear", "contract_size", ["", None, 0]),
    ],
)
async def test_contract_sizes_are_never_assumed(feed: str, field: str, unknown: list[Any]) -> None:
    """A contract that has no size yet, before it opens, is not used."""
    contracts = [row for row in ROWS[feed]() if field not in row or row[field] != ""]
    for value in unknown:
        preopen = [row | {field: value} for row in contracts]
        assert not await connector(feed).instruments(StubRest(feed, preopen), EVERYTHING)
    missing = [{name: value for name, value in row.items() if name != field} for row in contracts]
    assert not await connector(feed).instruments(StubRest(feed, missing), EVERYTHING)
    assert await connector(feed).instruments(StubRest(feed, contracts), EVERYTHING)


async def test_names_without_a_canonical_form() -> None:
    """A name of an unknown family is reported once, however often it is listed."""
    rows = ROWS["okx"]()
    unknown = [rows[2] | {"instId": name} for name in ("BTC-USD-FAMILY-310404", "BTC-USDT-PERP-X")]
    exchange = connector("okx")
    with capture_logs() as logs:
        for _ in range(3):
            await exchange.instruments(StubRest("okx", [*rows, *unknown]), Selection(["BTC-USDT"]))
    assert [entry["name"] for entry in logs] == ["BTC-USD-FAMILY-310404", "BTC-USDT-PERP-X"]


@each_feed
@settings(max_examples=50)
@given(data=st.data())
async def test_mutated_listings(feed: str, data: st.DataObject) -> None:
    """Any field of any entry, and any entry, may have any value."""
    rows = ROWS[feed]()
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(rows) - 1))
        whole: bool = data.draw(st.booleans())
        if type(rows[place]) is dict and rows[place] and not whole:
            rows[place] = rows[place] | {data.draw(st.sampled_from(sorted(rows[place]))): data.draw(JSON)}
        else:
            rows[place] = data.draw(JSON)
    for instrument in (await connector(feed).instruments(StubRest(feed, rows), EVERYTHING)).values():
        assert float(instrument.contract_size) > 0


@each_feed
@settings(max_examples=50)
@given(body=st.one_of(st.binary(), JSON.map(lambda value: orjson.dumps(value)), st.sampled_from([b"", b"[" * 5000])))
async def test_bodies_that_are_not_listings(feed: str, body: bytes) -> None:
    """An answer that is not a listing raises `ExchangeError`, or is an empty listing."""
    with suppress(ExchangeError):
        assert not await connector(feed).instruments(StubRest(feed, body=body), EVERYTHING)
    with pytest.raises(ExchangeError):
        await compare_clock(connector(feed), StubRest(feed, body=body))


@settings(max_examples=50)
@given(limits=st.one_of(JSON, st.lists(st.dictionaries(st.sampled_from(["rateLimitType", "interval", "limit"]), JSON))))
async def test_malformed_rate_limits(limits: Any) -> None:
    """Rate limits that cannot be read leave the budget unchanged."""
    body = enveloped("binance-spot", ROWS["binance-spot"]()) | {"rateLimits": limits}
    found = await connector("binance-spot").instruments(StubRest("binance-spot", body=orjson.dumps(body)), EVERYTHING)
    assert set(found) == set(SYMBOLS["binance-spot"])


# Frames

CONTROLS: dict[str, list[dict[str, Any]]] = {  # by exchange
    "binance": [
        {"result": None, "id": 1},
        {"result": ["btcusdt@trade"], "id": "listing"},
        {"error": {"code": 2, "msg": "Invalid"}, "id": 3},
        {"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": 1}},
    ],
    "okx": [
        {"id": "1", "event": "subscribe", "arg": {"channel": "books", "instId": "BTC-USDT"}},
        {"id": "1", "event": "error", "code": "60018", "msg": "no such"},
        {"event": "notice", "code": "64008", "msg": "upgrade"},
        {"event": "channel-conn-count", "channel": "books", "connCount": "2"},
    ],
    "htx": [
        {"ping": 1790000000000},
        {"op": "ping", "ts": "1790000000000"},
        {"id": "1", "status": "ok", "subbed": "market.btcusdt.bbo", "ts": 1},
        {"id": "3", "status": "error", "err-code": "bad-request", "err-msg": "invalid"},
    ],
    "deribit": [
        {"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": "test_request"}},
        {"jsonrpc": "2.0", "id": 5, "result": ["book.BTC-PERPETUAL.100ms"]},
        {"jsonrpc": "2.0", "id": 5, "error": {"code": 10028, "message": "too_many_requests"}},
        {"jsonrpc": "2.0", "method": "subscription", "params": {"channel": "platform_state", "data": {"locked": 1}}},
    ],
}


def mutated(data: st.DataObject, body: dict[str, Any]) -> dict[str, Any]:
    """Remove, add or change one field, here or one level deeper."""
    name = data.draw(st.sampled_from([*body, "id", "extra"]))
    if type(body.get(name)) is dict and data.draw(st.booleans()):
        return body | {name: mutated(data, body[name])}
    if data.draw(st.booleans()):
        return body | {name: data.draw(JSON)}
    return {key: value for key, value in body.items() if key != name}


def check(exchange: Connector, frame: bytes) -> None:
    decoded = exchange.decode(frame)
    hash(exchange.route(decoded))
    control = exchange.parse_control(decoded)
    hash(control)
    assert len(control.reason) <= 300
    assert len(control.reply) < 10_000


@each_feed
@settings(max_examples=50)
@given(data=st.data())
def test_mutated_control_frames(feed: str, data: st.DataObject) -> None:
    """`decode`, `route` and `parse_control` never raise, and what they return is hashable."""
    body = mutated(data, mutated(data, data.draw(st.sampled_from(CONTROLS[FEEDS[feed].exchange]))))
    frame = orjson.dumps(body)
    check(connector(feed), frame)
    check(connector(feed), frame[: data.draw(st.integers(0, len(frame)))])


@each_feed
@settings(max_examples=50)
@given(frame=st.one_of(st.binary(), JSON.map(lambda value: orjson.dumps(value))))
def test_any_frame(feed: str, frame: bytes) -> None:
    """The same holds for any bytes and any JSON."""
    check(connector(feed), frame)


@each_feed
@pytest.mark.parametrize("head", [b'{"stream":"', b'{"arg":{"channel":"', b'{"ch":"', b'{"params":{"channel":"'])
def test_endless_names(feed: str, head: bytes) -> None:
    """An endless name is neither cached nor recognised."""
    exchange = connector(feed)
    for tail in (b"", b'"}', b'"}}'):
        found = exchange.route(head + b"x" * 5000 + tail)
        assert len(found.symbol) + len(found.channel) < 300 or found.kind == "unknown"


@each_feed
@pytest.mark.parametrize("size", [33 << 20, 64 << 20])
def test_decompression_bombs(feed: str, size: int) -> None:
    """A frame that is too large when decompressed is returned unchanged."""
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)), packer.flush()])
    assert connector(feed).decode(bomb) == bomb


@each_feed
def test_unsubscribe(feed: str) -> None:
    """Unsubscribing names the same channels as subscribing, and no answer is awaited."""
    exchange = connector(feed)
    [*subscribed] = exchange.subscribe(routes(exchange, ["BTC"], CORE_CHANNELS), count(1))
    [*unsubscribed] = exchange.unsubscribe(routes(exchange, ["BTC"], CORE_CHANNELS), count(1))
    assert all(not request.routes for request in unsubscribed)
    assert sum(len(request.routes) for request in subscribed) == len(CORE_CHANNELS)


async def test_one_symbol_listed_twice() -> None:
    """The first open entry counts, wherever the closed ones are; a second open one is reported."""
    rows = ROWS["htx-spot"]()
    closed, twin = rows[0] | {"symbol": "btcold", "state": "offline"}, rows[0] | {"symbol": "btctwin"}
    for listed in ([closed, *rows], [*rows, closed], [*rows, twin]):
        found = await connector("htx-spot").instruments(StubRest("htx-spot", listed), EVERYTHING)
        assert found["BTC-USDT"].exchange_symbol == "btcusdt"


class _WithVariants(Okx):
    channels: ClassVar[Mapping[str, ChannelRow]] = {
        "trades": ChannelRow("trades", "/a"),
        "books": ChannelRow("books", "/a", variants=(Variant("books5", "/b", whole_books=True),)),
        "tickers": ChannelRow("tickers", "/a"),
    }
    snapshots: Literal["stream", "message", "rest"] = "rest"


def test_a_variant_takes_a_channel_s_place() -> None:
    """It has its own name and path, and books that are sent as a whole need no snapshot."""
    light = _WithVariants(variants={"books": "books5"})
    assert (light.name_of("books"), light.channels_of("spot", "/b"), light.snapshots) == ("books5", ["books"], "stream")
    assert light.channels_of("spot", "/a") == ["trades", "tickers"]
    assert _WithVariants().snapshots == "rest"
    assert _WithVariants(("trades",), variants={"books": "books5"}).paths == ("/a",)


def test_an_unknown_variant_names_the_nearest_one() -> None:
    with pytest.raises(SettingsError, match=r"unknown variant of okx:books 'books6': did you mean books5\?"):
        _WithVariants(variants={"books": "books6"})
    with pytest.raises(SettingsError, match=r"unknown variant of okx:quotes 'x': known are none"):
        _WithVariants(variants={"quotes": "x"})


def test_channels_are_added_to_the_kinds() -> None:
    """A channel may be wanted by its own name, or by a kind that it carries."""
    assert _WithVariants(("trades",), channels=("tickers",)).channels_on("/a") == ["trades", "tickers"]


def test_something_must_be_ingested() -> None:
    """A selection that no feed has stops the start; one that some feed lacks does not."""
    with pytest.raises(SettingsError, match=r"no feed \(binance-spot\) has any of: options"):
        connectors_of(load_settings(feeds=("binance-spot",), kinds=("options",)))
    [deribit] = connectors_of(load_settings(kinds=("options",)), ["deribit"])
    assert deribit.channels_on(deribit.paths[0]) == ["tickers"]


def test_channels_of_no_feed() -> None:
    """Channels are looked for by their own names, and by the kinds that they carry."""
    settings = load_settings(feeds=("okx",), channels=("candles_10m", "candles_1m", "long_short_ratios"))
    assert carried_by_none(connectors_of(settings), settings) == ["candles_10m"]


@pytest.mark.parametrize(
    ("feeds", "symbols", "kinds"),
    [
        ("binance-spot", "BTC-USDT-PERP", "trades"),  # the feed serves no perpetuals
        ("binance-spot,htx-spot", "BTC-USD-261225-76000-C", "trades"),
        ("okx", "BTC-USDT", "funding"),  # the feed has funding, but not of spot
        ("okx", "BTC-USDT", "long_short_ratios"),
    ],
)
def test_nothing_can_be_found(feeds: str, symbols: str, kinds: str) -> None:
    """Symbols for which no feed has what is wanted are an error, before any exchange is asked."""
    names = feeds.replace(",", ", ")
    with pytest.raises(SettingsError, match=rf"no feed \({names}\) has any of: {kinds} for any of: {symbols}"):
        connectors_of(load_settings(feeds=feeds, symbols=symbols, kinds=kinds))
    assert connectors_of(load_settings(feeds=feeds, symbols=f"{symbols},*", kinds=kinds))
    assert connectors_of(load_settings(feeds=f"{feeds},deribit", symbols="BTC-USD-PERP", kinds="trades"))


def test_symbols_of_no_feed() -> None:
    """Only symbols of a kind that none of the feeds serves are certain to be found nowhere."""
    settings = load_settings(feeds="binance-spot,binance-usdm", symbols="BTC-USDT,BTC-USD-PERP,X-USDT-PERP,*-C")
    assert of_no_feed(connectors_of(settings), settings) == ["BTC-USD-PERP"]


@pytest.mark.parametrize(
    ("feed", "symbol", "request_"),
    [
        ("binance-spot", "BTCUSDT", ("/api/v3/depth", {"symbol": "BTCUSDT", "limit": "5"}, 5)),
        ("binance-usdm", "BTCUSDT", ("/fapi/v1/depth", {"symbol": "BTCUSDT", "limit": "5"}, 2)),
        ("binance-coinm", "BTCUSD_PERP", ("/dapi/v1/depth", {"symbol": "BTCUSD_PERP", "limit": "5"}, 2)),
        ("okx", "BTC-USDT", ("/api/v5/market/books", {"instId": "BTC-USDT", "sz": "5"}, 1)),
        ("htx-spot", "btcusdt", ("/market/depth", {"symbol": "btcusdt", "type": "step0", "depth": "5"}, 1)),
        ("htx-linear", "BTC-USDT", ("/linear-swap-ex/market/depth", {"contract_code": "BTC-USDT", "type": "step6"}, 1)),
        ("deribit", "X", ("/api/v2/public/get_order_book", {"instrument_name": "X", "depth": "5"}, 1)),
    ],
)
def test_best_levels(feed: str, symbol: str, request_: tuple[str, dict[str, str], float]) -> None:
    """The request costs the least weight that brings five levels."""
    row = CONNECTORS[feed].best_levels
    assert (row.path, row.query(symbol), row.weight) == request_


@pytest.mark.parametrize(
    ("feed", "body", "is_error"),
    [
        ("okx", b'{"code":"0","msg":"","data":[]}', False),
        ("okx", b'{"code":"51001","msg":"no such instrument","data":[]}', True),
        ("okx", b"<html>", True),
        ("htx-spot", b'{"status":"ok","tick":{}}', False),
        ("htx-linear", b'{"status":"error","err_code":1332}', True),
        ("binance-spot", b'{"lastUpdateId":1}', False),
    ],
)
def test_errors_with_status_200(feed: str, body: bytes, is_error: bool) -> None:
    """OKX and HTX report errors with HTTP status 200."""
    assert CONNECTORS[feed]().is_error(body) == is_error
