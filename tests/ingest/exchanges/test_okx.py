"""OKX: routes of frames, control frames, subscriptions."""

from itertools import count

import orjson
import pytest

from ingest.exchanges.base import CONTROL, UNKNOWN_FRAME, Route
from ingest.exchanges.okx import Okx
from schemas.channels import CORE_CHANNELS
from tests.ingest.listings import routes

OKX = Okx()


@pytest.mark.parametrize(
    ("frame", "route"),
    [
        (b'{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[]}', ("BTC-USDT", "books")),
        (b'{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT-SWAP"},"data":[]}', ("BTC-USDT-SWAP", "quotes")),
        (b'{"arg":{"instId":"BTC-USDT","channel":"trades"},"data":[]}', ("BTC-USDT", "trades")),
        (b'{"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[]}', ("BTC-USDT", "", "tickers")),
        (b'{ "data": [], "arg": {"channel":"trades","instId":"BTC-USDT"} }', ("BTC-USDT", "trades")),
        (b'{"arg":{"channel":"liquidation-orders","instType":"SWAP"},"data":[]}', ("", "", "liquidation-orders")),
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
