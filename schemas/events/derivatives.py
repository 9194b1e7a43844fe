"""What exchanges publish of derivatives besides their trading."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.events.base import MarketEvent
from schemas.fields import Label, Micros, PlainDecimal, SignedDecimal


class Funding(MarketEvent):
    """Funding of a perpetual: what the longs pay to the shorts, a fraction of the position (0.0001: 0.01 %).

    `estimated`: `rate` is the exchange's estimate for the running period. Where funding is continuous (Deribit), it is
    the current rate of 8 hours, and there is no next payment. `settled`: the rate that was paid at `timestamp`; on
    Deribit that of the hour before.
    """

    topic_name = "market.funding"
    table_name = "funding"
    is_kind = True
    meaning = "funding rates of perpetuals, with mark and index prices where the exchange sends them"

    urgent = ("rate",)

    type: Annotated[
        Literal["estimated", "settled"], Field(description="estimated: of the running period; settled: paid")
    ] = "estimated"  # events before version 0002 of the tables lack it
    rate: Annotated[SignedDecimal, Field(description="fraction of the position, for one interval")]
    interval_hours: Annotated[int | None, Field(description="hours that the rate covers, where known")]
    next_funding_at: Annotated[Micros | None, Field(description="of the next payment; null: settled, or continuous")]
    mark_price: Annotated[PlainDecimal | None, Field(description="price by which positions are valued, quote units")]
    index_price: Annotated[PlainDecimal | None, Field(description="spot price of the index, quote units")]


class MarkPrice(MarketEvent):
    """The price by which positions are valued, and what it derives from."""

    topic_name = "market.mark_prices"
    table_name = "mark_prices"
    is_kind = True
    meaning = "mark, index and estimated settlement prices of derivatives"
    retention_days = 7

    mark_price: Annotated[PlainDecimal, Field(description="price by which positions are valued, quote units")]
    index_price: Annotated[PlainDecimal | None, Field(description="spot price of the index, quote units")]
    settlement_price: Annotated[
        PlainDecimal | None, Field(description="the exchange's estimate for the delivery, quote units")
    ]


class OpenInterest(MarketEvent):
    """Open positions of one instrument. OKX and HTX publish contracts and base units, of some contracts the value too.

    Binance publishes base units, and of coin-margined contracts only their number. Deribit publishes the value of
    inverse contracts, and base units of all others.
    """

    topic_name = "market.open_interest"
    table_name = "open_interest"
    is_kind = True
    meaning = "open interest: those of contracts, base and quote units that the exchange publishes"

    contracts: Annotated[PlainDecimal | None, Field(description="in the exchange's contracts")]
    amount: Annotated[PlainDecimal | None, Field(description="base units")]
    value: Annotated[PlainDecimal | None, Field(description="quote units")]


class Liquidation(MarketEvent):
    """A forced order that closed a position. `sampled`: the exchange publishes only some of them."""

    topic_name = "market.liquidations"
    table_name = "liquidations"
    is_kind = True
    meaning = "liquidations of positions; `sampled` where the exchange publishes only some"

    side: Annotated[Literal["buy", "sell"], Field(description="of the liquidation order: sell closes a long position")]
    price: Annotated[PlainDecimal | None, Field(description="of the order, usually the bankruptcy price")]
    average_price: Annotated[PlainDecimal | None, Field(description="of its execution")]
    amount: Annotated[PlainDecimal, Field(description="base units")]
    sampled: Annotated[bool, Field(description="the exchange publishes only some of them")]


class LongShortRatio(MarketEvent):
    """How accounts, positions or takers were divided in one period. `symbol` may be a currency: all its contracts.

    `long` and `short` are fractions that add up to 1, or to less where an exchange leaves out accounts that are both
    (HTX); of `taker_volume` they are the volumes bought and sold by takers, in the exchange's unit. OKX publishes only
    the ratio of accounts and positions, HTX only the shares. `timestamp` is the period's start on Binance; OKX and HTX
    do not document which end theirs is.
    """

    topic_name = "market.long_short_ratios"
    table_name = "long_short_ratios"
    is_kind = True
    meaning = "long and short accounts, positions and taker volumes, by instrument or currency"
    topic_key = "exchange:symbol, or exchange:currency"

    scope: Annotated[
        Literal["top_accounts", "top_positions", "all_accounts", "taker_volume"],
        Field(
            description="of top traders: their number, or the size of their positions; of all; or what takers traded"
        ),
    ]
    period: Annotated[Label, Field(description="5m, …")]
    long: Annotated[PlainDecimal | None, Field(description="share; of taker_volume the volume bought")]
    short: Annotated[PlainDecimal | None, Field(description="share; of taker_volume the volume sold")]
    ratio: Annotated[PlainDecimal | None, Field(description="long / short, where the exchange publishes it")]


class OptionSummary(MarketEvent):
    """Volatilities and Black-Scholes greeks of an option. Volatilities are fractions a year (0.55: 55 %)."""

    topic_name = "market.options"
    table_name = "options"
    is_kind = True
    meaning = "implied volatilities, greeks and underlying of options"
    retention_days = 7

    mark_iv: Annotated[
        PlainDecimal | None, Field(description="implied volatility of the mark price, a fraction a year")
    ]
    bid_iv: Annotated[PlainDecimal | None, Field(description="of the best bid, a fraction a year")]
    ask_iv: Annotated[PlainDecimal | None, Field(description="of the best ask, a fraction a year")]
    delta: Annotated[
        SignedDecimal | None, Field(description="the option's change per unit of change of the underlying")
    ]
    gamma: Annotated[SignedDecimal | None, Field(description="change of delta per unit of change of the underlying")]
    vega: Annotated[
        SignedDecimal | None,
        Field(description="the option's change per percentage point of volatility, as the exchange publishes it"),
    ]
    theta: Annotated[
        SignedDecimal | None, Field(description="the option's change per day, as the exchange publishes it")
    ]
    rho: Annotated[
        SignedDecimal | None,
        Field(description="the option's change per percentage point of interest, as the exchange publishes it"),
    ]
    underlying_price: Annotated[PlainDecimal | None, Field(description="quote units")]
    underlying_index: Annotated[
        Label | None, Field(description="what the underlying price is of, as the exchange calls it")
    ]
    open_interest: Annotated[PlainDecimal | None, Field(description="base units")]
