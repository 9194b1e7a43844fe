"""Whatever an exchange sends: one odd entry costs the others nothing, and no frame ends a connection."""

import zlib
from contextlib import suppress
from itertools import count
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from ingest.clock import compare_clock
from ingest.exchanges import CONNECTORS
from ingest.exchanges.base import Connector
from ingest.skips import MOST, Skips
from schemas.channels import CHANNELS
from schemas.errors import ExchangeError
from schemas.symbols import Selection
from tests.ingest.listings import ROWS, SYMBOLS, Answering, enveloped, made

FEEDS = list(CONNECTORS)
EVERYTHING = Selection(["*"])
ODD: list[Any] = [None, "", 0, -1, True, [], {}, "\x00", "a b", "1e999999", 1e300, 2**64 - 1, "NaN", [[]], "x" * 5000]
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(), st.sampled_from(ODD)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=5,
)
each_feed = pytest.mark.parametrize("feed", FEEDS)


@each_feed
async def test_one_odd_entry(feed: str) -> None:
    """Each field in turn missing, null, empty, of another type: the others are there, and it is reported once."""
    rows, exchange = ROWS[feed](), made(feed)
    [symbol, *others] = SYMBOLS[feed]
    for field in rows[0]:
        for value in (*ODD, KeyError):
            odd = {name: found for name, found in rows[0].items() if name != field}
            odd |= {} if value is KeyError else {field: value}
            with capture_logs() as logs:
                for _ in range(2):
                    found = await exchange.instruments(Answering(feed, [odd, *rows[1:]]), EVERYTHING)
                    assert set(others) <= set(found)
            told = [(entry["name"], entry["reason"]) for entry in logs if entry["log_level"] == "warning"]
            assert len(told) == len(set(told)) <= 1
    assert symbol in await exchange.instruments(Answering(feed, rows), EVERYTHING)


@pytest.mark.parametrize(
    ("feed", "odd"),
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
async def test_skipped_and_reported(feed: str, odd: dict[str, Any]) -> None:
    """What cannot be used is not there, and its report names the feed, the entry and what is wrong."""
    rows, exchange = ROWS[feed](), made(feed)
    with capture_logs() as logs:
        for _ in range(3):
            found = await exchange.instruments(Answering(feed, [rows[0] | odd, *rows[1:]]), EVERYTHING)
    assert SYMBOLS[feed][0] not in found
    assert set(SYMBOLS[feed][1:]) <= set(found)
    [told] = [entry for entry in logs if entry["event"] == "skipped"]
    assert told["feed"] == feed
    assert told["name"]
    assert told["reason"]
    assert found.skipped == {told["name"]}


@pytest.mark.parametrize("odd", [{"contractType": ""}, {"contractType": "PERPETUAL_DELIVERING"}, {}])
async def test_patterns_that_overlap(odd: dict[str, Any]) -> None:
    """A futures entry that would be taken for a spot pair does not end the feed whose patterns choose it."""
    rows = ROWS["binance-usdm"]()
    listing = [rows[0] | odd, *rows[1:]]
    found = await made("binance-usdm").instruments(
        Answering("binance-usdm", listing), Selection(["*-USDT", "*-USDT-PERP"])
    )
    assert "BTC-USDT" not in found
    assert ("BTC-USDT-PERP" in found) == (not odd)
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
async def test_a_size_is_never_assumed(feed: str, field: str, unknown: list[Any]) -> None:
    """A contract that is prepared has no size yet: it is not used before it has."""
    contracts = [row for row in ROWS[feed]() if field not in row or row[field] != ""]
    for value in unknown:
        preopen = [row | {field: value} for row in contracts]
        assert not await made(feed).instruments(Answering(feed, preopen), EVERYTHING)
    missing = [{name: value for name, value in row.items() if name != field} for row in contracts]
    assert not await made(feed).instruments(Answering(feed, missing), EVERYTHING)
    assert await made(feed).instruments(Answering(feed, contracts), EVERYTHING)


async def test_names_without_a_canonical_form() -> None:
    """A name of a new family is reported, once, however often it is listed."""
    rows = ROWS["okx"]()
    odd = [rows[2] | {"instId": name} for name in ("BTC-USD-FAMILY-310404", "BTC-USDT-PERP-X")]
    exchange = made("okx")
    with capture_logs() as logs:
        for _ in range(3):
            await exchange.instruments(Answering("okx", [*rows, *odd]), Selection(["BTC-USDT"]))
    assert [entry["name"] for entry in logs] == ["BTC-USD-FAMILY-310404", "BTC-USDT-PERP-X"]


@each_feed
@settings(deadline=None, max_examples=50)
@given(data=st.data())
async def test_mutated_listings(feed: str, data: st.DataObject) -> None:
    """Any field of any entry may be anything; so may an entry."""
    rows = ROWS[feed]()
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(rows) - 1))
        whole: bool = data.draw(st.booleans())
        if type(rows[place]) is dict and rows[place] and not whole:
            rows[place] = rows[place] | {data.draw(st.sampled_from(sorted(rows[place]))): data.draw(JSON)}
        else:
            rows[place] = data.draw(JSON)
    for instrument in (await made(feed).instruments(Answering(feed, rows), EVERYTHING)).values():
        assert float(instrument.contract_size) > 0


@each_feed
@settings(deadline=None, max_examples=50)
@given(body=st.one_of(st.binary(), JSON.map(lambda value: orjson.dumps(value)), st.sampled_from([b"", b"[" * 5000])))
async def test_bodies_that_are_no_listing(feed: str, body: bytes) -> None:
    """An answer that is no listing is an `ExchangeError`, or an empty one."""
    with suppress(ExchangeError):
        assert not await made(feed).instruments(Answering(feed, body=body), EVERYTHING)
    with pytest.raises(ExchangeError):
        await compare_clock(made(feed), Answering(feed, body=body))


@settings(deadline=None, max_examples=50)
@given(limits=st.one_of(JSON, st.lists(st.dictionaries(st.sampled_from(["rateLimitType", "interval", "limit"]), JSON))))
async def test_odd_rate_limits(limits: Any) -> None:
    """Limits that cannot be read leave those of before."""
    body = enveloped("binance-spot", ROWS["binance-spot"]()) | {"rateLimits": limits}
    found = await made("binance-spot").instruments(Answering("binance-spot", body=orjson.dumps(body)), EVERYTHING)
    assert set(found) == set(SYMBOLS["binance-spot"])


def test_reports_are_bounded() -> None:
    """After so many different ones it is said that no more are reported."""
    skips = Skips("okx", "okx")
    with capture_logs() as logs:
        for number in range(MOST + 50):
            skips.report(f"X{number}", "odd")
    assert len(logs) == MOST + 1
    assert "no more" in logs[-1]["event"]


# Frames

CONTROLS: dict[str, list[dict[str, Any]]] = {
    "binance-spot": [
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
    "htx-spot": [
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
CONTROLS |= {"binance-usdm": CONTROLS["binance-spot"], "htx-linear": CONTROLS["htx-spot"]}


def mutated(data: st.DataObject, body: dict[str, Any]) -> dict[str, Any]:
    """One field, here or one level deeper, removed, added or made something else."""
    name = data.draw(st.sampled_from([*body, "id", "extra"]))
    if type(body.get(name)) is dict and data.draw(st.booleans()):
        return body | {name: mutated(data, body[name])}
    if data.draw(st.booleans()):
        return body | {name: data.draw(JSON)}
    return {key: value for key, value in body.items() if key != name}


def check(exchange: Connector, frame: bytes) -> None:
    decoded = exchange.decode(frame)
    hash(exchange.route(decoded))
    control = exchange.control(decoded)
    hash(control)
    assert len(control.reason) <= 300
    assert len(control.answer) < 10_000


@each_feed
@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_mutated_control_frames(feed: str, data: st.DataObject) -> None:
    """Nothing leaves `decode`, `route` and `control`, and what they return can be looked up."""
    body = mutated(data, mutated(data, data.draw(st.sampled_from(CONTROLS[feed]))))
    frame = orjson.dumps(body)
    check(made(feed), frame)
    check(made(feed), frame[: data.draw(st.integers(0, len(frame)))])


@each_feed
@settings(deadline=None, max_examples=50)
@given(frame=st.one_of(st.binary(), JSON.map(lambda value: orjson.dumps(value))))
def test_any_frame(feed: str, frame: bytes) -> None:
    """The same for bytes and JSON of any kind."""
    check(made(feed), frame)


@each_feed
@pytest.mark.parametrize("head", [b'{"stream":"', b'{"arg":{"channel":"', b'{"ch":"', b'{"params":{"channel":"'])
def test_names_without_end(feed: str, head: bytes) -> None:
    """A frame that is one long name is neither kept nor known."""
    exchange = made(feed)
    for tail in (b"", b'"}', b'"}}'):
        found = exchange.route(head + b"x" * 5000 + tail)
        assert len(found.symbol) + len(found.channel) < 300 or found.kind == "unknown"


@each_feed
@pytest.mark.parametrize("size", [33 << 20, 64 << 20])
def test_bombs(feed: str, size: int) -> None:
    """A frame that decompresses without end is kept as it came."""
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)), packer.flush()])
    assert made(feed).decode(bomb) == bomb


@each_feed
def test_unsubscribe(feed: str) -> None:
    """What is forgotten is named as it was when it was asked for, and no answer is awaited."""
    exchange = made(feed)
    [*asked] = exchange.subscribe(["BTC"], CHANNELS, count(1))
    [*forgotten] = exchange.unsubscribe("BTC", CHANNELS, count(1))
    assert all(not request.routes for request in forgotten)
    assert sum(len(request.routes) for request in asked) == len(CHANNELS)


async def test_one_symbol_listed_twice() -> None:
    """The first open entry counts, whichever order they come in next to closed ones; the other is reported."""
    rows = ROWS["htx-spot"]()
    closed, twin = rows[0] | {"symbol": "btcold", "state": "offline"}, rows[0] | {"symbol": "btctwin"}
    for listed in ([closed, *rows], [*rows, closed], [*rows, twin]):
        found = await made("htx-spot").instruments(Answering("htx-spot", listed), EVERYTHING)
        assert found["BTC-USDT"].exchange_symbol == "btcusdt"
