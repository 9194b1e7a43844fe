"""The bases of all event models."""

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from schemas.fields import Label, Micros, Source


class Event(BaseModel):
    """Base of all events. `meaning`: the topic in a few words; `topic_key`: its record keys.

    `is_kind`: it comes from the exchanges' channels, and the setting `kinds` selects it by its table's name.
    `urgent`: fields of a kind whose events are a state; an event follows as soon as one of them changes.
    """

    model_config = ConfigDict(extra="forbid")

    topic_name: ClassVar[str]
    table_name: ClassVar[str]
    meaning: ClassVar[str]
    retention_days: ClassVar[int] = 30
    is_kind: ClassVar[bool] = False
    topic_key: ClassVar[str] = "exchange:symbol"
    urgent: ClassVar[tuple[str, ...]] = ()

    source: Source


class MarketEvent(Event):
    """Base of the events of one instrument."""

    exchange: Annotated[Label, Field(description="binance, okx, htx or deribit")]
    symbol: Annotated[
        Label,
        Field(description="our name: BTC-USDT, BTC-USDT-PERP, BTC-USDT-261225, BTC-USD-261225-76000-C"),
    ]
    timestamp: Annotated[Micros, Field(description="exchange time; receipt time where the exchange sends none")]
    local_timestamp: Annotated[Micros, Field(description="receipt by ingest")]
