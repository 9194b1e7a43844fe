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
    field: Label
    old: str
    new: str
    feed: Label
    exchange_symbol: Annotated[str, Field(description="the exchange's own name")]
    kind: Annotated[Label, Field(description="spot, perp, future, option")]
    base: Label
    quote: Label
    settle: Annotated[Label, Field(description="currency of settlement; empty: unknown")]
    tick_size: Annotated[PlainDecimal | None, Field(description="smallest step of prices")]
    lot_size: Annotated[PlainDecimal | None, Field(description="smallest step of amounts, in the exchange's unit")]
    contract_size: Annotated[
        PlainDecimal, Field(description="of one unit of amount: base units, or quote units if inverse")
    ]
    inverse: bool
    expiry: Annotated[str, Field(description="YYMMDD; empty: none")]
    status: Annotated[Label, Field(description="trading, halted, closed")]
