"""Parse the exchanges' frames into normalized messages: one module per exchange, all pure functions.

They have no state, do no I/O and never read the clock. A normalizer takes the frame, the instrument and the receipt
time (µs), and returns the frame's messages as a list of `messages.Normalized`. It raises `FrameError` with the reason
for a dead letter, and lets the errors of decoding a malformed frame through (`rows.UNREADABLE`). Everything that it
returns can be converted to base units, encoded and stored: the rest is rejected before it reaches a book.
"""

from collections.abc import Callable

from schemas.errors import FrameError
from schemas.instruments import Instrument
from streams.normalize import binance, deribit, htx, okx
from streams.normalize.messages import Normalized
from streams.normalize.rows import UNREADABLE, reason_of

Normalizer = Callable[[bytes, Instrument, int], list[Normalized]]

NORMALIZERS: dict[str, Normalizer] = {
    "binance": binance.normalize,
    "okx": okx.normalize,
    "htx": htx.normalize,
    "deribit": deribit.normalize,
}


def parse(frame: bytes, instrument: Instrument, local_timestamp: int) -> list[Normalized]:
    """Return the normalized messages of a raw frame. Raise `FrameError` with the reason if it is malformed."""
    try:
        return NORMALIZERS[instrument.exchange](frame, instrument, local_timestamp)
    except UNREADABLE as error:
        raise FrameError(reason_of(error)) from None
