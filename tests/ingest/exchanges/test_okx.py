"""OKX: routes of frames, control frames, subscriptions."""

from itertools import count

import msgspec
import orjson
import pytest

from ingest.exchanges.base import CONTROL, UNKNOWN_FRAME, Route
from ingest.exchanges.okx import Okx
from ingest.exchanges.okx.channels import BUSINESS, PUBLIC
from schemas.channels import CORE_CHANNELS, candles_of
from schemas.events import DEFAULT_KINDS, KINDS
from schemas.exchanges.okx import BARS
from schemas.symbols import Kind
from streams.normalize import okx
from tests.ingest.listings import routes

OKX = Okx(kinds=KINDS)
SPOT, SWAP, FUTURE, OPTION = "BTC-USDT", "BTC-USDT-SWAP", "BTC-USDT-261225", "BTC-USD-261225-90000-C"
EVERYWHERE = ["trades", "books", "quotes", "tickers"]


@pytest.mark.parametrize(
    ("frame", "route"),
    [
        (b'{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[]}', ("BTC-USDT", "books")),
        (b'{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT-SWAP"},"data":[]}', ("BTC-USDT-SWAP", "quotes")),
        (b'{"arg":{"instId":"BTC-USDT","channel":"trades"},"data":[]}', ("BTC-USDT", "trades")),
        (b'{"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[]}', ("BTC-USDT", "tickers")),
        (b'{"arg":{"channel":"candle1Dutc","instId":"BTC-USDT"},"data":[]}', ("BTC-USDT", "candles_1d")),
        (b'{"arg":{"channel":"candle1D","instId":"BTC-USDT"},"data":[]}', ("BTC-USDT", "", "candle1D")),
        (b'{"arg":{"channel":"mark-price","instId":"BTC-USD-261225-90000-C"},"data":[]}', (OPTION, "mark_prices")),
        (b'{"arg":{"channel":"open-interest","instId":"BTC-USDT-SWAP"},"data":[]}', ("BTC-USDT-SWAP", "open_interest")),
        (b'{"arg":{"channel":"trades-all","instId":"BTC-USDT"},"data":[]}', ("BTC-USDT", "trades")),
        (b'{"arg":{"channel":"books5","instId":"BTC-USDT"},"data":[]}', ("BTC-USDT", "books")),
        (b'{"arg":{"channel":"price-limit","instId":"BTC-USDT"},"data":[]}', ("BTC-USDT", "", "price-limit")),
        (b'{"arg":{"channel":"option-trades","instFamily":"BTC-USD"},"data":[]}', ("", "", "option-trades")),
        (b'{ "data": [], "arg": {"channel":"trades","instId":"BTC-USDT"} }', ("BTC-USDT", "trades")),
        (b'{"arg":{"channel":"liquidation-orders","instType":"SWAP"},"data":[]}', ("SWAP", "liquidations")),
        (b'{"id":"1","arg":{"channel":"liquidation-orders","instType":"SWAP"},"data":[]}', ("SWAP", "liquidations")),
        (b'{"arg":{"channel":"opt-summary","instFamily":"BTC-USD"},"data":[]}', ("OPTION BTC-USD", "options")),
        (
            b'{"arg":{"channel":"estimated-price","instType":"FUTURES","instFamily":"BTC-USDT"},"data":[]}',
            ("FUTURES BTC-USDT", "settlement_prices"),
        ),
    ],
)
def test_data(frame: bytes, route: tuple[str, ...]) -> None:
    """A data frame is routed by its `arg`, in any order of keys."""
    assert OKX.route(frame) == Route("data", *route)


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (b"pong", "routine"),
        (b'{"id":"1","event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"}}', "acknowledged"),
        (b'{"id":"1","event":"unsubscribe","arg":{"channel":"books","instId":"BTC-USDT"}}', "routine"),
        (b'{"id":"1","event":"error","code":"60018","msg":"no such instrument"}', "rejected"),
        (b'{"event":"notice","code":"64008","msg":"upgrade"}', "closing"),
        (b'{"event":"login"}', "unknown"),
    ],
)
def test_control(frame: bytes, kind: str) -> None:
    """Control frames are recognised and parsed."""
    assert OKX.route(frame) == CONTROL
    assert OKX.parse_control(frame).kind == kind


@pytest.mark.parametrize("frame", [b"", b"ping", b"[]", b'{"arg":', b'{"arg":[]}', b'{"arg":{"channel":1}}', b"\xff"])
def test_unknown_frames(frame: bytes) -> None:
    """Any other frame is unknown, and nothing is raised."""
    assert OKX.route(frame) == UNKNOWN_FRAME


def test_subscribe() -> None:
    """One message per instrument, so that an error's id names it. Books are renewed by resubscribing."""
    ids = count(1)
    requests = OKX.subscribe(routes(OKX, ["BTC-USDT", "BTC-USDT-SWAP"], CORE_CHANNELS), ids)
    assert [orjson.loads(request.text)["args"][1]["instId"] for request in requests] == ["BTC-USDT", "BTC-USDT-SWAP"]
    assert {route.channel for route in requests[0].routes} == {"trades", "books", "quotes"}
    again = OKX.resubscribe(OKX.route_of("BTC-USDT", "books"), ids)
    operations = [orjson.loads(request.text)["op"] for request in again]
    assert operations == ["unsubscribe", "subscribe"]


@pytest.mark.parametrize(
    ("channel", "name", "argument"),
    [
        ("tickers", SPOT, {"channel": "tickers", "instId": SPOT}),
        ("candles_1h", SPOT, {"channel": "candle1H", "instId": SPOT}),
        ("candles_3M", SPOT, {"channel": "candle3Mutc", "instId": SPOT}),
        ("funding", SWAP, {"channel": "funding-rate", "instId": SWAP}),
        ("index_prices", "BTC-USD_UM-SWAP", {"channel": "index-tickers", "instId": "BTC-USD"}),
        ("open_interest", FUTURE, {"channel": "open-interest", "instId": FUTURE}),
        ("liquidations", SWAP, {"channel": "liquidation-orders", "instType": "SWAP"}),
        ("liquidations", FUTURE, {"channel": "liquidation-orders", "instType": "FUTURES"}),
        ("liquidations", OPTION, {"channel": "liquidation-orders", "instType": "OPTION"}),
        ("options", OPTION, {"channel": "opt-summary", "instFamily": "BTC-USD"}),
        (
            "settlement_prices",
            "BTC-USD_UM-261225",
            {"channel": "estimated-price", "instType": "FUTURES", "instFamily": "BTC-USD_UM"},
        ),
    ],
)
def test_arguments(channel: str, name: str, argument: dict[str, str]) -> None:
    """Each channel is subscribed with the keys it takes, and its acknowledgement and its frames have its route."""
    route = OKX.route_of(name, channel)
    [request] = OKX.subscribe([route], count(1))
    assert orjson.loads(request.text)["args"] == [argument]
    acknowledgement = {"id": "1", "event": "subscribe", "arg": argument, "connId": "a4d3ae55"}
    assert OKX.parse_control(orjson.dumps(acknowledgement)).routes == (route,)
    assert OKX.route(orjson.dumps({"arg": argument, "data": [{}]})) == route


@pytest.mark.parametrize(
    ("kind", "channels"),
    [
        ("spot", EVERYWHERE),
        ("perp", [*EVERYWHERE, "funding", "mark_prices", "index_prices", "open_interest", "liquidations"]),
        (
            "future",
            [*EVERYWHERE, "mark_prices", "index_prices", "settlement_prices", "open_interest", "liquidations"],
        ),
        (
            "option",
            [
                *EVERYWHERE,
                "mark_prices",
                "index_prices",
                "settlement_prices",
                "open_interest",
                "liquidations",
                "options",
            ],
        ),
    ],
)
def test_channels_of_each_kind(kind: Kind, channels: list[str]) -> None:
    """Every instrument has tickers and candles; what is of derivatives depends on their kind."""
    assert OKX.channels_of(kind, PUBLIC) == channels
    assert OKX.channels_of(kind, BUSINESS) == [candles_of(interval) for interval in BARS]


def test_one_interval() -> None:
    """A single interval of candles can be selected besides the kinds."""
    connector = Okx(DEFAULT_KINDS, channels=["candles_1m"])
    assert connector.channels_on(BUSINESS) == ["candles_1m"]


@pytest.mark.parametrize(("channel", "name", "path"), [("trades", "trades-all", BUSINESS), ("books", "books5", PUBLIC)])
def test_variants(channel: str, name: str, path: str) -> None:
    """A variant is subscribed on its own path instead, and its frames are those of the channel."""
    connector = Okx(variants={channel: name})
    assert channel in connector.channels_on(path)
    [request] = connector.subscribe([connector.route_of(SPOT, channel)], count(1))
    assert orjson.loads(request.text)["args"] == [{"channel": name, "instId": SPOT}]


STATISTICS = "/api/v5/rubik/stat"


@pytest.mark.parametrize(
    ("channel", "path", "query"),
    [
        (
            "top_account_ratios",
            f"{STATISTICS}/contracts/long-short-account-ratio-contract-top-trader",
            {"instId": SWAP, "period": "5m", "limit": "4"},
        ),
        (
            "top_position_ratios",
            f"{STATISTICS}/contracts/long-short-position-ratio-contract-top-trader",
            {"instId": SWAP, "period": "5m", "limit": "4"},
        ),
        (
            "account_ratios",
            f"{STATISTICS}/contracts/long-short-account-ratio-contract",
            {"instId": SWAP, "period": "5m", "limit": "4"},
        ),
        (
            "taker_volumes",
            f"{STATISTICS}/taker-volume-contract",
            {"instId": SWAP, "period": "5m", "unit": "0", "limit": "4"},
        ),
        ("funding_history", "/api/v5/public/funding-rate-history", {"instId": SWAP, "limit": "3"}),
        (
            "currency_account_ratios",
            f"{STATISTICS}/contracts/long-short-account-ratio",
            {"ccy": "BTC", "period": "5m"},
        ),
        (
            "currency_taker_volumes",
            f"{STATISTICS}/taker-volume",
            {"ccy": "BTC", "period": "5m", "instType": "CONTRACTS"},
        ),
    ],
)
def test_polls(channel: str, path: str, query: dict[str, str]) -> None:
    """Each poll names its subject and how many rows it needs, one more if the newest may not be final."""
    row = OKX.polled[channel]
    subject = "BTC" if row.subject == "currency" else SWAP
    assert (row.path, row.query(subject) | row.rows(3)) == (path, query)
    assert path in okx.ANSWERS
    assert int(row.rows(10_000).get("limit", 0)) <= 400


@pytest.mark.parametrize(
    ("channel", "body", "newest"),
    [
        ("account_ratios", b'{"code":"0","data":[["1790000100000","1.2"],["1789999800000","1.1"]]}', 1790000100000),
        ("account_ratios", b'{"code":"0","data":[]}', 0),
        ("account_ratios", b'{"code":"0","data":[["soon","1"]]}', 0),
        ("account_ratios", b"<html>", 0),
        ("funding_history", b'{"code":"0","data":[{"fundingTime":"1790000000000"}]}', 1790000000000),
        ("funding_history", b'{"code":"51001","data":[]}', 0),
    ],
)
def test_newest_rows(channel: str, body: bytes, newest: int) -> None:
    """The newest row comes first; an answer without rows has none."""
    assert OKX.polled[channel].newest(body) == newest


def test_frames_of_many_instruments_are_split() -> None:
    """Each instrument gets the frame with its own rows, byte for byte."""
    frame = (
        b'{"arg":{"channel":"liquidation-orders","instType":"SWAP"},"data":['
        b'{"instId":"BTC-USDT-SWAP","details":[{"sz":"1.0"}]}, {"instId":"ETH-USDT-SWAP"},{"instId": "BTC-USDT-SWAP"}]}'
    )
    head = b'{"arg":{"channel":"liquidation-orders","instType":"SWAP"},"data":['
    assert dict(OKX.split(frame)) == {
        "BTC-USDT-SWAP": head + b'{"instId":"BTC-USDT-SWAP","details":[{"sz":"1.0"}]},{"instId": "BTC-USDT-SWAP"}]}',
        "ETH-USDT-SWAP": head + b'{"instId":"ETH-USDT-SWAP"}]}',
    }


def test_a_row_of_no_instrument_costs_only_itself() -> None:
    """It comes under an empty name, and the other rows as usual."""
    head = b'{"arg":{"channel":"opt-summary","instFamily":"BTC-USD"},"data":['
    rows = [b"{}", b'{"instId":5}', b"null", b'{"instId":"BTC-USD-SWAP"}']
    assert dict(OKX.split(head + b",".join(rows) + b"]}")) == {
        "": head + b",".join(rows[:3]) + b"]}",
        "BTC-USD-SWAP": head + rows[3] + b"]}",
    }
    with pytest.raises(msgspec.ValidationError):
        list(OKX.split(head[:-1] + b"{}}"))
