"""A malformed marker in a raw topic is one dead letter, and changes nothing else."""

import orjson
import pytest

from schemas.markers import MARKER
from tests.frames import T0, binance, line, tick
from tests.streams.helpers import bodies, run
from tests.streams.test_raw_processor import live

KEY = "binance:BTC-USDT"
MALFORMED = [
    {"marketprism": "instrument"}, {"marketprism": "clock"}, {"marketprism": "clock", "offset": "x", "round_trip": 1},
    {"marketprism": "clock", "offset": 1 << 60, "round_trip": 1}, {"marketprism": "connected", "channels": 5},
    {"marketprism": "connected", "channels": [{}]}, {"marketprism": "subscribed", "channels": "x"},
    {"marketprism": "disconnected", "channels": None}, {"marketprism": "silent", "age": "x", "channel": "books"},
    {"marketprism": "notice", "reason": {"a": 1}}, {"marketprism": "frame"}, {"marketprism": "frame", "base64": 7},
    {"marketprism": "rate_limited"}, {"marketprism": "rate_limited", "status": "429", "seconds": 1, "where": "rest"},
    {"marketprism": "weird"}, {"marketprism": "report", "channels": [1]},
]  # fmt: skip


@pytest.mark.parametrize("key", [KEY, "binance:?"])
@pytest.mark.parametrize(
    "marker", [*map(orjson.dumps, MALFORMED), MARKER, MARKER + b'frame","base64":"!"}', MARKER + b'x"']
)
def test_malformed_markers(key: str, marker: bytes) -> None:
    """Whatever a marker holds, every event fits its model, and the lines around it are processed."""
    malformed = b"%d\t%s\t%s\n" % (T0, key.encode(), marker)
    found = run("binance", live(), malformed, tick("binance", 11_000) + line(KEY, binance.trade(t=5), 11_001))
    assert len(bodies(found, "market.trades")) == 1
    letters = bodies(found, "dead_letters")
    assert len(letters) <= 1
    if key == KEY and not marker.startswith(MARKER + b"rate_limited"):
        assert len(letters) == 1
