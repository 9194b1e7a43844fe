"""Binance: routes of frames, control frames, subscriptions."""

from itertools import count

import orjson
import pytest

from ingest.exchanges.base import CONTROL, UNKNOWN_FRAME, Connector, Route
from ingest.exchanges.binance import BinanceCoinm, BinanceSpot, BinanceUsdm
from schemas.channels import CHANNELS, CONTINUOUS, CORE_CHANNELS
from schemas.errors import SettingsError
from tests.ingest.listings import routes

SPOT, USDM, COINM = BinanceSpot(), BinanceUsdm(), BinanceCoinm()
NAMES = {"binance-spot": "BTCUSDT", "binance-usdm": "BTCUSDT", "binance-coinm": "BTCUSD_PERP"}


@pytest.mark.parametrize(
    ("frame", "route"),
    [
        (b'{"stream":"btcusdt@trade","data":{}}', Route("data", "BTCUSDT", "trades")),
        (b'{"stream":"btcusdt@depth@100ms","data":{}}', Route("data", "BTCUSDT", "books")),
        (b'{"stream":"btcusdt@depth@0ms","data":{}}', Route("data", "BTCUSDT", "books")),
        (b'{"stream":"btcusdt_261225@bookTicker","data":{}}', Route("data", "BTCUSDT_261225", "quotes")),
        (b'{"stream":"btcusdt@depth5@100ms","data":{}}', Route("data", "BTCUSDT", "books")),
        (b'{"stream":"btcusdt@aggTrade","data":{}}', Route("data", "BTCUSDT", "trades")),
        (b'{"stream":"btcusdt@ticker","data":{}}', Route("data", "BTCUSDT", "tickers")),
        (b'{"stream":"btcusdt@kline_1M","data":{}}', Route("data", "BTCUSDT", "candles_1M")),
        (b'{"stream":"btcusdt@forceOrder","data":{}}', Route("data", "BTCUSDT", "liquidations")),
        (b'{"stream":"btcusdt@markPrice@1s","data":{}}', Route("data", "BTCUSDT", "mark_prices")),
        (
            b'{"stream":"btcusd_next_quarter@continuousKline_5m","data":{}}',
            Route("data", "BTCUSD", "next_quarter_candles_5m"),
        ),
        (
            b'{"stream":"xauusdt_tradifi_perpetual@continuousKline_5m","data":{}}',
            Route("data", "XAUUSDT", "", "continuousKline_5m"),
        ),
        (b'{"stream":"btcusdt@kline_7m","data":{}}', Route("data", "BTCUSDT", "", "kline_7m")),
        (b'{"stream":"btcusdt@avgPrice","data":{}}', Route("data", "BTCUSDT", "", "avgPrice")),
        ('{"stream":"币安人生usdt@trade","data":{}}'.encode(), Route("data", "币安人生USDT", "trades")),
        (rb'{"stream":"\u5e01usdt@trade","data":{}}', Route("data", "币USDT", "trades")),
        (b'{ "data": {}, "stream": "btcusdt@trade" }', Route("data", "BTCUSDT", "trades")),
        (b'{"e":"trade","s":"BTCUSDT"}', Route("data", "BTCUSDT", "trades")),
        (b'{"e":"kline","s":"BTCUSDT","k":{"i":"1m"}}', Route("data", "BTCUSDT", "candles_1m")),
        (
            b'{"e":"continuous_kline","ps":"BTCUSD","ct":"PERPETUAL","k":{"i":"1m"}}',
            Route("data", "BTCUSD", "perpetual_candles_1m"),
        ),
        (b'{"e":"forceOrder","o":{"s":"BTCUSDT"}}', Route("data", "BTCUSDT", "liquidations")),
        (b'{"e":"forceOrder","o":"BTCUSDT","s":"ETHUSDT"}', Route("data", "ETHUSDT", "", "forceOrder")),
        (b'{"e":"mystery","s":"BTCUSDT"}', Route("data", "BTCUSDT", "", "mystery")),
        (b'{"u":1,"s":"BTCUSDT","b":"1","B":"1","a":"2","A":"1"}', Route("data", "BTCUSDT", "quotes")),
        (b'{"lastUpdateId":7,"bids":[],"asks":[]}', Route("data", "", "snapshot")),
    ],
)
def test_data(frame: bytes, route: Route) -> None:
    """A data frame is routed by its stream's name, or by its own fields if it has no wrapper."""
    assert SPOT.route(frame) == route


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (b'{"result":null,"id":1}', "acknowledged"),
        (b'{"code":2,"msg":"Invalid request","id":3}', "rejected"),
        (b'{"error":{"code":2,"msg":"Invalid request"},"id":3}', "rejected"),
        (b'{"result":["btcusdt@trade"],"id":"listing"}', "subscriptions"),
        (b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1790000000000}}', "closing"),
        (b'{"e":"serverShutdown","E":1790000000000}', "closing"),
        (b'{"result":true,"id":9}', "unknown"),
    ],
)
def test_control(frame: bytes, kind: str) -> None:
    """Control frames are recognised and parsed."""
    assert SPOT.route(frame) == CONTROL
    assert SPOT.parse_control(frame).kind == kind


@pytest.mark.parametrize("frame", [b"", b"x", b"[1]", b'{"stream":"', b'{"stream":"a"}', b'{"e":"\xff"}', b"{}"])
def test_unknown_frames(frame: bytes) -> None:
    """Any other frame is unknown, and nothing is raised."""
    assert SPOT.route(frame) == UNKNOWN_FRAME


def test_subscribe() -> None:
    """All channels of all instruments are requested, at most 50 streams per message; the list names them the same."""
    requests = USDM.subscribe(routes(USDM, [f"A{number}USDT" for number in range(40)], CORE_CHANNELS), count(1))
    bodies = [orjson.loads(request.text) for request in requests]
    names = [name for body in bodies for name in body["params"]]
    assert len(names) == 120
    assert max(len(body["params"]) for body in bodies) <= 50
    assert names[:3] == ["a0usdt@trade", "a0usdt@depth@100ms", "a0usdt@bookTicker"]
    assert [str(body["id"]) for body in bodies] == [request.id for request in requests]
    answer = SPOT.parse_control(orjson.dumps({"result": names, "id": "listing"}))
    assert set(answer.routes) == {route for request in requests for route in request.routes}


def streams(connector: Connector, symbol: str, channels: list[str]) -> list[str]:
    """Return the names of the streams of an instrument's channels."""
    requests = connector.subscribe(routes(connector, [symbol], channels), count(1))
    return [name for request in requests for name in orjson.loads(request.text)["params"]]


@pytest.mark.parametrize("connector", [SPOT, USDM, COINM])
def test_frames_of_every_channel_come_back_to_it(connector: Connector) -> None:
    """The frames of each subscribed stream have the route that was subscribed, and so has the list of streams."""
    symbol, channels = NAMES[connector.name], [*connector.channels]
    subscribed = routes(connector, [symbol], channels)
    names = streams(connector, symbol, channels)
    assert len(set(names)) == len(channels)
    assert [connector.route(orjson.dumps({"stream": name, "data": {}})) for name in names] == subscribed
    assert connector.parse_control(orjson.dumps({"result": names, "id": "listing"})).routes == tuple(subscribed)


def test_candles() -> None:
    """Each interval is a stream; only spot has seconds, and only perpetuals have their pair's continuous contracts."""
    assert streams(SPOT, "BTCUSDT", ["candles_1s", "candles_1M"]) == ["btcusdt@kline_1s", "btcusdt@kline_1M"]
    assert len([name for name in SPOT.channels if name.startswith("candles_")]) == 16
    for connector in (USDM, COINM):
        assert len([name for name in connector.channels if "candles_" in name]) == 15 * 4
        assert all(
            row.of == (("perp",) if name.startswith(CONTINUOUS) else ())
            for name, row in connector.channels.items()
            if "candles_" in name
        )
    continuous = ["perpetual_candles_1m", "current_quarter_candles_1h"]
    expected = ["btcusd_perpetual@continuousKline_1m", "btcusd_current_quarter@continuousKline_1h"]
    assert streams(COINM, "BTCUSD_PERP", continuous) == expected


@pytest.mark.parametrize(
    ("variants", "stream", "path", "snapshots"),
    [
        ({"trades": "aggTrade"}, "btcusdt@aggTrade", "/market/stream", "rest"),
        ({"books": "depth20@100ms"}, "btcusdt@depth20@100ms", "/public/stream", "stream"),
        ({"books": "depth5@100ms"}, "btcusdt@depth5@100ms", "/public/stream", "stream"),
    ],
)
def test_variants(variants: dict[str, str], stream: str, path: str, snapshots: str) -> None:
    """Aggregated trades and partial books may replace trades and diffs, each on its own path."""
    [channel] = variants
    connector = BinanceUsdm(variants=variants)
    assert streams(connector, "BTCUSDT", [channel]) == [stream]
    assert channel in connector.channels_on(path)
    assert connector.snapshots == snapshots
    assert connector.route(orjson.dumps({"stream": stream, "data": {}})) == Route("data", "BTCUSDT", channel)
    with pytest.raises(SettingsError, match="depth7"):
        BinanceUsdm(variants={"books": "depth7"})


def test_a_connection_serves_fewer_instruments_of_many_channels() -> None:
    """Streams per connection stay within the exchange's limit."""
    assert BinanceUsdm(("trades", "books", "quotes")).group_size == 60
    assert BinanceUsdm(("candles",)).group_size == 3
    assert BinanceUsdm(("liquidations",)).group_size == 60
    assert BinanceCoinm(channels=CHANNELS).group_size == 2


@pytest.mark.parametrize(
    ("connector", "channel", "path", "query"),
    [
        (USDM, "open_interest", "/fapi/v1/openInterest", {"symbol": "BTCUSDT"}),
        (COINM, "open_interest", "/dapi/v1/openInterest", {"symbol": "BTCUSD_PERP"}),
        (USDM, "funding_history", "/fapi/v1/fundingRate", {"symbol": "BTCUSDT"}),
        (USDM, "top_account_ratios", "/futures/data/topLongShortAccountRatio", {"symbol": "BTCUSDT", "period": "5m"}),
        (COINM, "account_ratios", "/futures/data/globalLongShortAccountRatio", {"pair": "BTCUSD", "period": "5m"}),
        (USDM, "taker_volumes", "/futures/data/takerlongshortRatio", {"symbol": "BTCUSDT", "period": "5m"}),
        (
            COINM,
            "taker_volumes",
            "/futures/data/takerBuySellVol",
            {"pair": "BTCUSD", "contractType": "PERPETUAL", "period": "5m"},
        ),
    ],
)
def test_polls(connector: Connector, channel: str, path: str, query: dict[str, str]) -> None:
    """Each market has its paths and names its instruments in its own way."""
    row = connector.polls[channel]
    assert (row.path, row.query(NAMES[connector.name])) == (path, query)
    if row.most:
        assert row.rows(7) == {"limit": "7"}


@pytest.mark.parametrize(
    ("channel", "body", "newest"),
    [
        ("funding_history", b'[{"fundingTime":1790000000000},{"fundingTime":1790028800000}]', 1790028800000),
        (
            "account_ratios",
            b'[{"timestamp":1790000300000},{"timestamp":1790000000000},7,{"timestamp":"x"}]',
            1790000300000,
        ),
        ("account_ratios", b"[]", 0),
        ("account_ratios", b'{"code":-1121}', 0),
        ("account_ratios", b"x", 0),
    ],
)
def test_newest_period(channel: str, body: bytes, newest: int) -> None:
    """The newest period of an answer is found, whatever the answer."""
    assert USDM.polls[channel].newest(body) == newest
