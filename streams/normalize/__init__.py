"""Parse the exchanges' frames into normalized messages: one module per exchange, all pure functions.

They have no state, do no I/O and never read the clock. A normalizer takes the frame, the instrument and the receipt
time (µs), and returns the frame's messages as a list of `messages.Normalized`. It raises `FrameError` with the reason
for a dead letter, and lets the errors of decoding a malformed frame through (`rows.UNREADABLE`). Everything that it
returns can be converted to base units, encoded and stored: the rest is rejected before it reaches a book.
"""

from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl

from schemas.errors import FrameError
from schemas.instruments import Instrument
from schemas.markers import Answer, History
from streams.normalize import binance, deribit, htx, okx
from streams.normalize.messages import Normalized
from streams.normalize.rows import UNREADABLE, reason_of

Normalizer = Callable[[bytes, Instrument, int], list[Normalized]]
AnswerNormalizer = Callable[[bytes, dict[str, str], Instrument, int], list[Normalized]]  # with the request's parameters

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


ANSWERS: dict[str, Mapping[str, AnswerNormalizer]] = {
    "binance": binance.ANSWERS,
    "okx": okx.ANSWERS,
    "htx": htx.ANSWERS,
    "deribit": deribit.ANSWERS,
}
"""Normalizers of what is polled, by exchange and path."""

HISTORIES: dict[str, Mapping[str, AnswerNormalizer]] = {
    "binance": {**binance.ANSWERS, **binance.HISTORY, **binance.FILES},
    "okx": {**okx.ANSWERS, **okx.HISTORY},
    "htx": {**htx.ANSWERS, **htx.HISTORY},
    "deribit": {**deribit.ANSWERS, **deribit.HISTORY},
}
"""Normalizers of answers about the past, some of which are polled too, by exchange and path."""


def parse_answer(answer: Answer, instrument: Instrument, local_timestamp: int) -> list[Normalized]:
    """Return the normalized messages of a poll's answer. Raise `FrameError` with the reason if it is malformed."""
    return _parse_body(ANSWERS, answer, instrument, local_timestamp)


def parse_history(history: History, instrument: Instrument, local_timestamp: int) -> list[Normalized]:
    """Return the normalized messages of an answer about the past. Raise `FrameError` with the reason."""
    return _parse_body(HISTORIES, history, instrument, local_timestamp)


def _parse_body(
    normalizers: Mapping[str, Mapping[str, AnswerNormalizer]],
    answer: Answer | History,
    instrument: Instrument,
    local_timestamp: int,
) -> list[Normalized]:
    path, _, query = answer.path.partition("?")
    normalize = normalizers.get(instrument.exchange, {}).get(path)
    if normalize is None:
        raise FrameError(f"unknown path: {path!r:.100}")
    try:
        return normalize(bytes(answer.body), dict(parse_qsl(query)), instrument, local_timestamp)
    except UNREADABLE as error:
        raise FrameError(reason_of(error)) from None
