"""Binance: routes of frames, control frames, subscriptions."""

from itertools import count

import orjson
import pytest

from ingest.exchanges.base import CONTROL, UNKNOWN_FRAME, Route
from ingest.exchanges.binance import BinanceSpot, BinanceUsdm
from schemas.channels import CORE_CHANNELS
from tests.ingest.listings import routes

SPOT, USDM = BinanceSpot(), BinanceUsdm()


@pytest.mark.parametrize(
    ("frame", "route"),
    [
        (b'{"stream":"btcusdt@trade","data":{}}', Route("data", "BTCUSDT", "trades")),
        (b'{"stream":"btcusdt@depth@100ms","data":{}}', Route("data", "BTCUSDT", "books")),
        (b'{"stream":"btcusdt@depth@0ms","data":{}}', Route("data", "BTCUSDT", "books")),
        (b'{"stream":"btcusdt_261225@bookTicker","data":{}}', Route("data", "BTCUSDT_261225", "quotes")),
        (b'{"stream":"btcusdt@depth5","data":{}}', Route("data", "BTCUSDT", "", "depth5")),
        ('{"stream":"币安人生usdt@trade","data":{}}'.encode(), Route("data", "币安人生USDT", "trades")),
        (rb'{"stream":"\u5e01usdt@trade","data":{}}', Route("data", "币USDT", "trades")),
        (b'{ "data": {}, "stream": "btcusdt@trade" }', Route("data", "BTCUSDT", "trades")),
        (b'{"e":"trade","s":"BTCUSDT"}', Route("data", "BTCUSDT", "trades")),
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
