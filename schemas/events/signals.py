"""Arbitrage signals."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.events.base import Event
from schemas.fields import Label, Micros, PlainDecimal, Source


class SignalSide(BaseModel):
    """One side of a signal: the quote that it rests on."""

    model_config = ConfigDict(extra="forbid")

    exchange: Label
    source: Source
    origin: Literal["bbo", "book"]
    sequence: int
    book: Literal["waiting", "live", "stale"]
    price: PlainDecimal
    average_price: Annotated[PlainDecimal, Field(description="of the executable amount")]
    timestamp: Micros
    local_timestamp: Micros
    age: Annotated[int, Field(description="microseconds, at the event's local_timestamp")]
    fee_bps: float


class Signal(Event):
    """An opportunity to buy on one exchange and sell the same symbol on another.

    `id` derives from the opening. `amount` is what the levels of both sides hold while the marginal trade pays after
    both fees; `profit` is what that earns. `gross_bps` and `net_bps` compare the best prices. `spread_*` are rolling
    statistics of the pair's gross spread in basis points.
    """

    topic_name = "signals.arbitrage"
    table_name = "signals"
    meaning = "arbitrage opportunities: opened, updated at each new peak, closed with the reason"
    topic_key = "symbol"

    id: Annotated[str, Field(description="one opportunity, from opened to closed")]
    symbol: Label
    type: Annotated[Literal["opened", "updated", "closed"], Field(description="opened, updated, closed")]
    reason: Annotated[
        Literal["", "spread_gone", "quote_too_old", "book_not_live", "implausible"], Field(description="why it closed")
    ]
    timestamp: Micros
    local_timestamp: Micros
    opened_at: Micros
    lifetime: Annotated[int, Field(description="microseconds since opened_at")]
    buy: SignalSide
    sell: SignalSide
    gross_bps: float
    net_bps: float
    amount: Annotated[PlainDecimal, Field(description="base units")]
    profit: Annotated[PlainDecimal, Field(description="quote units, net of fees")]
    peak_net_bps: float
    peak_amount: PlainDecimal
    peak_profit: PlainDecimal
    spread_mean_bps: float
    spread_stdev_bps: float
    spread_zscore: float
    spread_count: int
