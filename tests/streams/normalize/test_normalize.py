"""Whatever is received is parsed to messages or to a `FrameError`."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import FrameError
from streams.normalize import parse
from tests.frames import binance, dumps, okx
from tests.streams.normalize.strategies import anything

NOW = 1_790_000_000_000_001  # µs of receipt


@given(anything)
def test_no_json_stops_a_partition(body: Any) -> None:
    """Any JSON is parsed to messages or to a `FrameError`, never to another exception."""
    for instrument in (binance.SPOT, okx.SPOT):
        try:
            parse(dumps(body), instrument, NOW)
        except FrameError:
            continue


@given(st.binary(max_size=60))
def test_no_bytes_stop_a_partition(frame: bytes) -> None:
    """So are any bytes."""
    try:
        parse(frame, binance.SPOT, NOW)
    except FrameError:
        return
