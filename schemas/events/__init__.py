"""The event models: what every consumer of `market.*`, `signals.*` and `dead_letters` may rely on.

A model declares its topic, the topic's retention and its ClickHouse table. The topic table, JSON Schema, DDL, live view
and README derive from the registry `EVENTS`.

The hot path builds plain dicts of these shapes. The models validate in tests and at the edges. Conventions: times are
integer microseconds since the epoch, UTC; prices and amounts are plain decimal strings, amounts in base units; `side`
is the taker's; `source` comes first in every JSON object (`schemas/sources.py`).
"""

from typing import Any

from schemas.events.base import Event as Event
from schemas.events.base import MarketEvent as MarketEvent
from schemas.events.definitions import InstrumentChange
from schemas.events.derivatives import Funding, Liquidation, LongShortRatio, MarkPrice, OpenInterest, OptionSummary
from schemas.events.health import STATUS_TYPES as STATUS_TYPES
from schemas.events.health import DeadLetter as DeadLetter
from schemas.events.health import Gap as Gap
from schemas.events.health import Quality, Status
from schemas.events.signals import Signal as Signal
from schemas.events.signals import SignalSide as SignalSide
from schemas.events.trading import Book, Candle, Quote, Ticker
from schemas.events.trading import Trade as Trade

EVENTS: dict[str, type[Event]] = {
    event.topic_name: event
    for event in (
        Trade, Book, Quote, Ticker, Candle,
        Funding, MarkPrice, OpenInterest, Liquidation, LongShortRatio, OptionSummary, InstrumentChange,
        Gap, Quality, Status, Signal, DeadLetter,
    )
}  # fmt: skip
TABLES: dict[str, str] = {topic: event.table_name for topic, event in EVENTS.items()}
KINDS: tuple[str, ...] = tuple(event.table_name for event in EVENTS.values() if event.is_kind)
DEFAULT_KINDS = ("trades", "books", "quotes", "funding", "tickers")


def json_schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of each event model, by topic."""
    return {topic: model.model_json_schema() for topic, model in EVENTS.items()}
