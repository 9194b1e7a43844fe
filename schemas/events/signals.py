"""Arbitrage signals."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.events.base import Event
from schemas.fields import Label, Micros, PlainDecimal, Source


class SignalSide(BaseModel):
    """One side of a signal: the quote that it rests on."""

    model_config = ConfigDict(extra="forbid")

    exchange: Annotated[Label, Field(description="the exchange")]
    source: Annotated[Source, Field(description="source of the quote")]
    origin: Annotated[
        Literal["bbo", "book", "rest"],
        Field(description="bbo: the exchange's own quote; book: the rebuilt book's; rest: polled"),
    ]
    sequence: Annotated[int, Field(description="the quote's update id; 0: none")]
    book: Annotated[Literal["waiting", "live", "stale"], Field(description="state of the rebuilt book at the quote")]
    price: Annotated[PlainDecimal, Field(description="best price, quote units")]
    average_price: Annotated[PlainDecimal, Field(description="of the executable amount, quote units")]
    timestamp: Annotated[Micros, Field(description="exchange time of the quote")]
    local_timestamp: Annotated[Micros, Field(description="receipt of the quote")]
    age: Annotated[int, Field(description="microseconds, at the event's local_timestamp")]
    fee_bps: Annotated[float, Field(description="taker fee, basis points")]


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
    symbol: Annotated[Label, Field(description="our name of the instrument, the same on both sides")]
    type: Annotated[Literal["opened", "updated", "closed"], Field(description="opened, updated, closed")]
    reason: Annotated[
        Literal["", "spread_gone", "quote_too_old", "book_not_live", "implausible"], Field(description="why it closed")
    ]
    timestamp: Annotated[Micros, Field(description="exchange time of the later quote")]
    local_timestamp: Annotated[Micros, Field(description="receipt of the line that caused the event")]
    opened_at: Annotated[Micros, Field(description="local_timestamp of the opening")]
    lifetime: Annotated[int, Field(description="microseconds since opened_at")]
    buy: Annotated[SignalSide, Field(description="where to buy")]
    sell: Annotated[SignalSide, Field(description="where to sell")]
    gross_bps: Annotated[float, Field(description="sell price above buy price, basis points")]
    net_bps: Annotated[float, Field(description="gross_bps after both fees, basis points")]
    amount: Annotated[PlainDecimal, Field(description="base units")]
    profit: Annotated[PlainDecimal, Field(description="quote units, net of fees")]
    peak_net_bps: Annotated[float, Field(description="highest net_bps so far, basis points")]
    peak_amount: Annotated[PlainDecimal, Field(description="amount at the highest profit so far, base units")]
    peak_profit: Annotated[PlainDecimal, Field(description="highest profit so far, quote units")]
    spread_mean_bps: Annotated[float, Field(description="rolling mean of the pair's gross spread, basis points")]
    spread_stdev_bps: Annotated[float, Field(description="its standard deviation, basis points")]
    spread_zscore: Annotated[float, Field(description="standard deviations of gross_bps from the mean")]
    spread_count: Annotated[int, Field(description="observations in the rolling statistics")]
