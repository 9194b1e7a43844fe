"""Definitions of instruments, and their changes."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.events.base import MarketEvent
from schemas.fields import Label, PlainDecimal


class InstrumentChange(MarketEvent):
    """An instrument's definition: when it is first known (`listed`), for each field that changes, and when it goes.

    `field`, `old` and `new` are empty unless it is `changed`. All other fields are the definition as of now.
    """

    topic_name = "market.instruments"
    table_name = "instruments"
    meaning = "definitions of instruments: listed, changed, delisted"
    retention_days = 365

    type: Annotated[
        Literal["listed", "changed", "delisted"], Field(description="listed: first known; changed: one field")
    ]
    field: Annotated[Label, Field(description="name of the column that changed; empty unless changed")]
    old: Annotated[str, Field(description="its value before; empty unless changed")]
    new: Annotated[str, Field(description="its value now; empty unless changed")]
    feed: Annotated[Label, Field(description="the feed that lists it, such as binance-usdm")]
    exchange_symbol: Annotated[str, Field(description="the exchange's own name")]
    kind: Annotated[Label, Field(description="spot, perp, future, option")]
    base: Annotated[Label, Field(description="currency that is traded")]
    quote: Annotated[Label, Field(description="currency of the price")]
    settle: Annotated[Label, Field(description="currency of settlement; empty: unknown")]
    tick_size: Annotated[PlainDecimal | None, Field(description="smallest step of prices")]
    lot_size: Annotated[PlainDecimal | None, Field(description="smallest step of amounts, in the exchange's unit")]
    contract_size: Annotated[
        PlainDecimal, Field(description="of one unit of amount: base units, or quote units if inverse")
    ]
    inverse: Annotated[bool, Field(description="its contracts are worth a fixed number of quote units")]
    expiry: Annotated[str, Field(description="YYMMDD; empty: none")]
    status: Annotated[Label, Field(description="trading, halted, closed")]
