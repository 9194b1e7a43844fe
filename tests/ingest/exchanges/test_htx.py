"""HTX: decompression, routes of frames, control frames, subscriptions, definitions."""

import gzip
from itertools import count
from typing import Any

import orjson
import pytest

from ingest.exchanges.base import CONTROL, UNKNOWN_FRAME, Control, Route
from ingest.exchanges.htx import HtxLinear, HtxSpot
from ingest.rest import Rest
from schemas.channels import CORE_CHANNELS
from schemas.errors import ExchangeError
from schemas.symbols import Selection
from tests.ingest.listings import routes

SPOT, LINEAR = HtxSpot(), HtxLinear()


def test_decode() -> None:
    """Frames are gzip members. Other, truncated and oversized ones are returned unchanged."""
    text = b'{"ping":1790000000000}'
    packed = gzip.compress(text)
    assert SPOT.decode(packed) == text
    assert [SPOT.decode(frame) for frame in (text, b"", packed[:-9], packed[:12] + b"x")] == [
        text, b"", packed[:-9], packed[:12] + b"x",
    ]  # fmt: skip
    bomb = gzip.compress(b" " * (33 << 20))
    assert SPOT.decode(bomb) == bomb


@pytest.mark.parametrize(
    ("topic", "route"),
    [
        ("market.btcusdt.trade.detail", ("btcusdt", "trades")),
        ("market.btcusdt.bbo", ("btcusdt", "quotes")),
        ("market.btcusdt.mbp.150", ("btcusdt", "books")),
        ("market.btcusdt.mbp.refresh.20", ("btcusdt", "books")),
        ("market.btcusdt.mbp.refresh.30", ("btcusdt", "", "mbp.refresh.30")),
        ("market.BTC-USDT.depth.size_150.high_freq", ("BTC-USDT", "books")),
        ("market.BTC-USDT-261225.trade.detail", ("BTC-USDT-261225", "trades")),
        ("market.btcusdt.depth.step0", ("btcusdt", "books")),
        ("market.BTC-USDT.depth.step6", ("BTC-USDT", "books")),
        ("market.BTC-USDT.depth.step7", ("BTC-USDT", "", "depth.step7")),
        ("market.btcusdt.detail", ("btcusdt", "tickers")),
        ("market.btcusdt.ticker", ("btcusdt", "tickers")),
        ("market.btcusdt.kline.1min", ("btcusdt", "candles_1m")),
        ("market.BTC-USDT.kline.60min", ("BTC-USDT", "candles_1h")),
        ("market.btcusdt.kline.1year", ("btcusdt", "candles_1y")),
        ("market.btcusdt.kline.2min", ("btcusdt", "", "kline.2min")),
        ("market.BTC-USDT.mark_price.1min", ("BTC-USDT", "mark_prices")),
        ("market.BTC-USDT.index.1min", ("BTC-USDT", "index_prices")),
        ("market.BTC-USDT.basis.1min.open", ("BTC-USDT", "", "basis.1min.open")),
    ],
)
def test_data(topic: str, route: tuple[str, ...]) -> None:
    """A data frame is routed by its topic, in any order of keys."""
    assert SPOT.route(orjson.dumps({"ch": topic, "ts": 1, "tick": {}})) == Route("data", *route)
    assert SPOT.route(orjson.dumps({"ts": 1, "tick": {}, "ch": topic})) == Route("data", *route)


def test_other_data() -> None:
    """A requested snapshot, and frames of the notification socket."""
    assert SPOT.route(b'{"id":"7","rep":"market.btcusdt.mbp.150","data":{}}') == Route("data", "btcusdt", "snapshot")
    notice = b'{"op":"notify","topic":"public.BTC-USDT.funding_rate","data":[]}'
    assert LINEAR.route(notice) == Route("data", "BTC-USDT", "funding")
    notice = b'{"op":"notify","topic":"public.BTC-USDT-261225.liquidation_orders","data":[]}'
    assert LINEAR.route(notice) == Route("data", "BTC-USDT-261225", "liquidations")


@pytest.mark.parametrize(
    ("frame", "control"),
    [
        ({"ping": 1790000000000}, Control("routine", reply='{"pong":1790000000000}')),
        ({"op": "ping", "ts": "1790000000000"}, Control("routine", reply='{"op":"pong","ts":"1790000000000"}')),
        ({"id": "1", "status": "ok", "unsubbed": "market.btcusdt.bbo"}, Control("routine", "1")),
        (
            {"id": "1", "status": "ok", "subbed": "market.btcusdt.bbo", "ts": 1},
            Control("acknowledged", "1", (Route("data", "btcusdt", "quotes"),)),
        ),
        (
            {"id": "2", "subbed": "market.BTC-USDT.depth.size_150.high_freq", "data_type": "incremental"},
            Control("acknowledged", "2", (Route("data", "BTC-USDT", "books"),)),
        ),
        (
            {"id": "3", "status": "error", "err-code": "bad-request", "err-msg": "invalid topic market.x.bbo"},
            Control("rejected", "3", reason="bad-request: invalid topic market.x.bbo"),
        ),
        ({"op": "close", "ts": 1}, Control("closing", reason="the exchange announces a close")),
        (
            {"op": "sub", "cid": "4", "topic": "public.BTC-USDT.funding_rate", "ts": 1, "err-code": 0},
            Control("acknowledged", "4", (Route("data", "BTC-USDT", "funding"),)),
        ),
        ({"op": "sub", "cid": "5", "topic": "public.BTC-USDT.funding_rate", "ts": 1, "err-code": 2011}, None),
        (
            {"op": "unsub", "cid": "6", "topic": "public.BTC-USDT.funding_rate", "ts": 1, "err-code": 0},
            Control("routine"),
        ),
        ({"op": "auth", "cid": "7"}, None),
        ({"op": "error", "ts": 1}, None),
    ],
)
def test_control(frame: dict[str, Any], control: Control | None) -> None:
    """Control frames of both formats are recognised and parsed. Both pings are answered with their own number."""
    assert SPOT.route(orjson.dumps(frame)) == CONTROL
    found = SPOT.parse_control(orjson.dumps(frame))
    assert found == control if control else found.kind == ("unknown" if frame["op"] == "auth" else "rejected")


@pytest.mark.parametrize(
    "frame",
    [
        b"", b"7", b"[]", b"{}", b'{"ch":"', b'{"ch":"market"}', b'{"ch":"market.btcusdt"}', b'{"ch":"market..bbo"}',
        b'{"ch":"shop.btcusdt.bbo"}', b'{"ch":7}', b'{"ch":"market.\xff.bbo"}', b"[" * 10_000, b"\x1f\x8b\x08",
        b'{"rep":null}',
    ],
)  # fmt: skip
def test_unknown_frames(frame: bytes) -> None:
    """Any other frame is unknown, and nothing is raised."""
    assert SPOT.route(frame) == UNKNOWN_FRAME


def messages(requests: list[Any]) -> list[dict[str, Any]]:
    return [orjson.loads(request.text) for request in requests]


def test_subscribe() -> None:
    """One topic per request. Swaps' books are requested as increments."""
    requests = SPOT.subscribe(routes(SPOT, ["btcusdt", "ethusdt"], ("trades", "quotes")), count(1))
    assert messages(requests)[:2] == [
        {"sub": "market.btcusdt.trade.detail", "id": "1"},
        {"sub": "market.btcusdt.bbo", "id": "2"},
    ]
    assert [request.routes for request in requests[:2]] == [
        (Route("data", "btcusdt", "trades"),),
        (Route("data", "btcusdt", "quotes"),),
    ]
    [books] = LINEAR.subscribe(routes(LINEAR, ["BTC-USDT"], ("books",)), count(1))
    topic = "market.BTC-USDT.depth.size_150.high_freq"
    assert orjson.loads(books.text) == {"sub": topic, "id": "1", "data_type": "incremental"}
    assert len(LINEAR.subscribe(routes(LINEAR, ["BTC-USDT"], CORE_CHANNELS), count(1))) == 3


def test_resubscribe() -> None:
    """The unsubscription names the same topic, and no answer to it is awaited."""
    again = LINEAR.resubscribe(LINEAR.route_of("BTC-USDT", "books"), count(7))
    topic = "market.BTC-USDT.depth.size_150.high_freq"
    assert messages(again) == [
        {"unsub": topic, "id": "7", "data_type": "incremental"},
        {"sub": topic, "id": "8", "data_type": "incremental"},
    ]
    assert [request.routes for request in again] == [(), (Route("data", "BTC-USDT", "books"),)]


@pytest.mark.parametrize(
    ("depth", "spot", "linear"),
    [(1, "mbp.5", "size_20"), (20, "mbp.150", "size_20"), (150, "mbp.150", "size_150"), (400, "mbp.400", "size_150")],
)
def test_depth(depth: int, spot: str, linear: str) -> None:
    """The smallest depth of the exchange that suffices, else its largest. The snapshot has the same depth."""
    books = HtxSpot(depth=depth)
    [request] = messages(books.subscribe(routes(books, ["btcusdt"], ("books",)), count(1)))
    assert request["sub"] == f"market.btcusdt.{spot}"
    assert messages([books.snapshot_request("btcusdt", count(9))]) == [{"req": f"market.btcusdt.{spot}", "id": "9"}]
    swaps = HtxLinear(depth=depth)
    [swap] = messages(swaps.subscribe(routes(swaps, ["BTC-USDT"], ("books",)), count(1)))
    assert swap["sub"] == f"market.BTC-USDT.depth.{linear}.high_freq"


class StubRest(Rest):
    """REST client that answers every request with one body."""

    def __init__(self, **body: Any) -> None:
        self.body = body

    async def get(self, path: str, weight: float = 1, **params: str) -> bytes:
        return orjson.dumps(self.body)


def spot_row(symbol: str, base: str, quote: str, state: str = "online") -> dict[str, Any]:
    return {"symbol": symbol, "bc": base, "qc": quote, "state": state, "pp": 2, "ap": 6}


async def test_spot_definitions() -> None:
    """Units are powers of ten. Base and quote are taken from their own fields."""
    rows = [spot_row("btcusdt", "btc", "usdt"), spot_row("ethbtc", "eth", "btc", "suspend"),
            spot_row("htusdt", "ht", "usdt", "offline"), spot_row("dogeusdt", "doge", "usdt")]  # fmt: skip
    found = await SPOT.instruments(StubRest(status="ok", data=rows), Selection(["BTC-USDT", "ETH-*", "HT-USDT"]))
    assert {symbol: each.status for symbol, each in found.items()} == {
        "BTC-USDT": "trading", "ETH-BTC": "halted", "HT-USDT": "closed",
    }  # fmt: skip
    bitcoin = found["BTC-USDT"]
    assert (bitcoin.exchange_symbol, bitcoin.tick_size, bitcoin.lot_size) == ("btcusdt", "0.01", "0.000001")


def contract(code: str, status: int = 1, **changes: Any) -> dict[str, Any]:
    plain = {"contract_code": code, "contract_size": 0.001, "price_tick": 0.1, "contract_status": status,
             "trade_partition": "USDT"}  # fmt: skip
    return plain | changes


async def test_linear_definitions() -> None:
    """Contract sizes are in coins, in any notation. A code without a canonical symbol is skipped."""
    rows = [contract("BTC-USDT"), contract("BTC-USDT-261225", 5), contract("SHIB-USDT", 0, contract_size=1000),
            contract("PEPE-USDT", contract_size=1e-7, price_tick=1e-10), contract("a:b-USDT")]  # fmt: skip
    found = await LINEAR.instruments(StubRest(status="ok", data=rows), Selection(["*"]))
    assert {symbol: (each.status, each.contract_size, each.tick_size) for symbol, each in found.items()} == {
        "BTC-USDT-PERP": ("trading", "0.001", "0.1"),
        "BTC-USDT-261225": ("halted", "0.001", "0.1"),
        "SHIB-USDT-PERP": ("closed", "1000", "0.1"),
        "PEPE-USDT-PERP": ("trading", "0.0000001", "0.0000000001"),
    }
    assert {(each.settle, each.lot_size, each.inverse) for each in found.values()} == {("USDT", "1", False)}


@pytest.mark.parametrize(
    "error",
    [
        {"status": "error", "err-code": "invalid-parameter", "err-msg": "too tired"},
        {"status": "error", "err_code": 1032, "err_msg": "too tired"},
    ],
)
async def test_errors_come_with_http_200(error: dict[str, Any]) -> None:
    """Both spellings of an error are reported with the exchange's own message."""
    with pytest.raises(ExchangeError, match="too tired"):
        await SPOT.instruments(StubRest(**error), Selection(["*"]))


async def test_server_time() -> None:
    """The time is in milliseconds, in one of two fields."""
    assert await SPOT.server_time(StubRest(status="ok", data=1790000000123)) == 1790000000123000
    assert await LINEAR.server_time(StubRest(status="ok", ts=1790000000123)) == 1790000000123000
