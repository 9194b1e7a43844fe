"""Frames to normalized events: one file per exchange, pure functions, no clock, no I/O, no state.

A normalizer takes the frame, the instrument and the receipt time (µs), and returns what the frame says as a list of
`Trade`, `Depth`, `Quote` or `Ignored`. It raises `FrameError` with the reason for a dead letter, and lets through what
decoding raises, and `KeyError`, `TypeError`, `ValueError`, `IndexError` and `AttributeError` of a malformed frame.
"""

from collections.abc import Callable

import msgspec
import orjson

from schemas.errors import FrameError
from schemas.instruments import Instrument
from streams.normalize import binance, deribit, htx, okx
from streams.normalize.events import Normalized

Normalizer = Callable[[bytes, Instrument, int], list[Normalized]]

NORMALIZERS: dict[str, Normalizer] = {
    "binance": binance.normalize,
    "okx": okx.normalize,
    "htx": htx.normalize,
    "deribit": deribit.normalize,
}

_NOT_JSON = (orjson.JSONDecodeError, msgspec.DecodeError, RecursionError, UnicodeError)
_MALFORMED = (KeyError, TypeError, ValueError, IndexError, AttributeError)


def parse(frame: bytes, instrument: Instrument, local_timestamp: int) -> list[Normalized]:
    """A raw frame to normalized events; `FrameError` says why it is none."""
    try:
        return NORMALIZERS[instrument.exchange](frame, instrument, local_timestamp)
    except msgspec.ValidationError as error:
        raise FrameError(f"malformed: {error}") from None
    except _NOT_JSON as error:
        raise FrameError(f"not JSON: {error}") from None
    except _MALFORMED as error:
        raise FrameError(f"malformed: {type(error).__name__}: {error}") from None
