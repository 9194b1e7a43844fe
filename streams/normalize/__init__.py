"""Frames to normalized events: one file per exchange, pure functions, no clock, no I/O, no state.

A normalizer takes the decoded frame, the instrument and the receipt time (µs), and returns what the frame says as a
list of `Trade`, `Depth`, `Quote` or `Ignored`. It raises `FrameError` with the reason for a dead letter, and lets
`KeyError`, `TypeError`, `ValueError`, `IndexError` and `AttributeError` of a malformed frame through (see `parse`).
"""

from collections.abc import Callable
from typing import Any

import msgspec
import orjson

from schemas.errors import FrameError
from schemas.instruments import Instrument
from streams.normalize import binance, deribit, htx, okx
from streams.normalize.events import Normalized

Normalizer = Callable[[Any, Instrument, int], list[Normalized]]

NORMALIZERS: dict[str, Normalizer] = {
    "binance": binance.normalize,
    "okx": okx.normalize,
    "htx": htx.normalize,
    "deribit": deribit.normalize,
}

# For exchanges that send prices as JSON numbers: as text, since a float keeps some 16 of their digits.
EXACT = msgspec.json.Decoder(float_hook=str).decode

DECODERS: dict[str, Callable[[bytes], Any]] = {"htx": EXACT, "deribit": EXACT}  # by exchange; orjson for all others

_MALFORMED = (KeyError, TypeError, ValueError, IndexError, AttributeError)


def parse(frame: bytes, instrument: Instrument, local_timestamp: int) -> list[Normalized]:
    """A raw frame to normalized events; `FrameError` says why it is none."""
    try:
        data = DECODERS.get(instrument.exchange, orjson.loads)(frame)
    except (ValueError, RecursionError) as error:  # orjson's and msgspec's are both of the former
        raise FrameError(f"not JSON: {error}") from None
    try:
        return NORMALIZERS[instrument.exchange](data, instrument, local_timestamp)
    except _MALFORMED as error:
        raise FrameError(f"malformed: {type(error).__name__}: {error}") from None
