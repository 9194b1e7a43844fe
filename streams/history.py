"""Publish what an exchange says of the past: of an answer's rows, those of its range that are not stored yet.

Nothing here has a state, and nothing that is followed live learns of it: the same line always has the same events.
"""

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from schemas.errors import FrameError
from schemas.instruments import Instrument
from schemas.markers import History
from schemas.topics import raw_topic
from streams.candles import publish_exchange_candle
from streams.normalize import parse_history
from streams.normalize.messages import Candle, Normalized, Reading, Rejected, SeriesRow, Trade
from streams.output import Output
from streams.readings import event_fields
from streams.subject import Subject
from streams.trades import publish_trade


def publish_history(out: Output, key: str, history: History) -> None:
    """Publish the rows of an answer that are missing, oldest first. Raise `FrameError` if it is malformed."""
    subject, known = Subject(_instrument(key, history)), set(history.known)
    messages = parse_history(history, subject.instrument, out.now)
    for message in sorted(messages, key=_time_of):
        if isinstance(message, Rejected):
            out.dead_letter(subject.exchange, subject.symbol, raw_topic(subject.exchange), message.reason, message.row)
        elif _is_inside(message, history, out.now) and (name := _name_of(message)) not in known:
            known.add(name)
            _PUBLISHERS[type(message)](out, subject, message)


def _instrument(key: str, history: History) -> Instrument:
    try:
        instrument = Instrument.model_validate(history.instrument)
    except ValidationError as error:
        raise FrameError(f"malformed marker: {error.errors()[0]['msg']}: {error.errors()[0]['loc']}") from None
    if instrument.key != key:
        raise FrameError(f"history of {instrument.key:.80} received as {key}")
    return instrument


def _time_of(message: Normalized) -> int:
    match message:
        case Candle():
            return message.start
        case Trade() | SeriesRow() | Reading():
            return message.timestamp
    return 0


def _is_inside(message: Normalized, history: History, now: int) -> bool:
    """Return whether a message is about the range that is to be filled. Candles must have been closed by `now`."""
    if isinstance(message, Candle) and (message.closed is False or message.end > now):
        return False
    return type(message) in _PUBLISHERS and history.begin <= _time_of(message) < history.end


def _name_of(message: Normalized) -> str:
    return message.id if isinstance(message, Trade) else str(_time_of(message))


def _publish_candle(out: Output, subject: Subject, candle: Candle) -> None:
    # Answers do not say when it was closed.
    publish_exchange_candle(out, subject, candle, candle.end, is_closed=True, is_complete=True)


def _publish_row(out: Output, subject: Subject, row: SeriesRow) -> None:
    out.event(row.topic, subject.key, out.head(subject, row.timestamp) | row.fields)


def _publish_reading(out: Output, subject: Subject, reading: Reading) -> None:
    out.event(
        reading.topic,
        subject.key,
        out.head(subject, reading.timestamp) | event_fields(reading.topic, reading.fields),
    )


_PUBLISHERS: dict[type[Normalized], Callable[[Output, Subject, Any], None]] = {
    Trade: publish_trade,
    Candle: _publish_candle,
    SeriesRow: _publish_row,
    Reading: _publish_reading,
}
