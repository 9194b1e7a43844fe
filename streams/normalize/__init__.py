"""Frames to normalized events: one file per exchange, pure functions, no clock, no I/O, no state.

A normalizer takes the decoded frame, the instrument and the receipt time (µs), and returns what the frame says as a
list of `Trade`, `Depth`, `Quote` or `Ignored`. It raises `FrameError` with the reason for a dead letter, and lets
`KeyError`, `TypeError`, `ValueError`, `IndexError` and `AttributeError` of a malformed frame through (see `parse`).
"""

from collections.abc import Callable
from typing import Any

import orjson

from schemas.errors import FrameError
from schemas.instruments import Instrument
from streams.normalize import binance, okx
from streams.normalize.events import Normalized

Normalizer = Callable[[Any, Instrument, int], list[Normalized]]

NORMALIZERS: dict[str, Normalizer] = {"binance": binance.normalize, "okx": okx.normalize}

_MALFORMED = (KeyError, TypeError, ValueError, IndexError, AttributeError)


def parse(frame: bytes, instrument: Instrument, local_timestamp: int) -> list[Normalized]:
    """A raw frame to normalized events; `FrameError` says why it is none."""
    try:
        data = orjson.loads(frame)
    except orjson.JSONDecodeError as error:
        raise FrameError(f"not JSON: {error}") from None
    try:
        return NORMALIZERS[instrument.exchange](data, instrument, local_timestamp)
    except _MALFORMED as error:
        raise FrameError(f"malformed: {type(error).__name__}: {error}") from None
