"""Decode the records of the event topics, as far as the API needs their fields; their JSON is passed on as it is."""

from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
import structlog

from marketprism.client import events
from schemas.events import EVENTS

log = structlog.get_logger(__name__)


class Head(msgspec.Struct, gc=False):
    """What is read of a kind whose values are only passed on."""

    source: str
    exchange: str
    symbol: str
    local_timestamp: int


class TimedHead(Head, gc=False):
    """What is read of a kind whose past may be filled in (docs/backfill.md)."""

    timestamp: int


class CandleHead(TimedHead, gc=False):
    """What is read of a candle."""

    interval: str
    contract: str
    origin: str


class RatioHead(Head, gc=False):
    """What is read of a long/short ratio."""

    scope: str


# Fields that are read, by table. All others are `Head`.
_FIELDS: dict[str, Any] = {
    "books": events.Book,
    "trades": TimedHead,
    "mark_prices": TimedHead,
    "open_interest": TimedHead,
    "candles": CandleHead,
    "long_short_ratios": RatioHead,
    "instruments": events.InstrumentChange,
    "gaps": events.Gap,
    "quality": events.Quality,
    "status": events.Status,
    "signals": events.Signal,
}


class Record:
    """One event: its table, the fields that are read, and its JSON."""

    __slots__ = ("fields", "local_timestamp", "source", "table", "value")

    topic_name: ClassVar[str] = ""

    def __init__(self, table: str, fields: Any, value: bytes) -> None:
        self.table, self.fields, self.value = table, fields, value
        self.source: str = fields.source
        self.local_timestamp: int = fields.local_timestamp


def decoder_of(table: str) -> Callable[[bytes], Record | None]:
    """Return what decodes a table's events. What is no event of this version is logged, and left out."""
    decode = msgspec.json.Decoder(_FIELDS.get(table, Head)).decode

    def record(value: bytes) -> Record | None:
        try:
            return Record(table, decode(value), value)
        except (msgspec.MsgspecError, ValueError) as error:
            log.warning("not an event of this version, left out", table=table, reason=str(error))
            return None

    return record


def decoders(tables: tuple[str, ...]) -> dict[str, Callable[[bytes], Record | None]]:
    """Return the decoders of some tables, by topic."""
    return {topic: decoder_of(event.table_name) for topic, event in EVENTS.items() if event.table_name in tables}
