"""What the routes of books answer, for the OpenAPI document."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

Text = Annotated[str, Field(description="decimal, plain notation")]
State = Literal["live", "stale"]


class BookHead(BaseModel):
    """Which book it is, and of when."""

    exchange: str
    symbol: str
    state: State = Field(description="stale: its levels are the last known ones")
    sequence: int = Field(description="id of the last change contained")
    timestamp: int = Field(description="exchange time of the last change, microseconds")
    local_timestamp: int = Field(description="its receipt, microseconds")
    age: int = Field(description="microseconds since its receipt")
    latency: int = Field(description="microseconds from exchange time to receipt, of two clocks")


class AccumulatedLevel(BaseModel):
    """A level, with all levels up to it."""

    price: Text
    amount: Text
    cumulative_amount: Text
    cumulative_value: Text = Field(description="quote units")


class EnhancedBook(BookHead):
    """A book with what follows from its levels."""

    spread: Text | None
    spread_bps: float | None = Field(description="basis points of the mid")
    mid: Text | None
    imbalance: float | None = Field(description="of the returned levels, from -1 (asks only) to 1 (bids only)")
    bids: list[AccumulatedLevel]
    asks: list[AccumulatedLevel]


class SimpleBook(BaseModel):
    """Best prices and the amounts there; null without a level."""

    exchange: str
    symbol: str
    state: State
    local_timestamp: int
    bid: Text | None
    bid_amount: Text | None
    ask: Text | None
    ask_amount: Text | None


class LegacyBook(BaseModel):
    """Arrays of numbers, as CCXT has them."""

    symbol: str
    timestamp: int = Field(description="exchange time, milliseconds")
    nonce: int = Field(description="id of the last change contained")
    bids: list[tuple[float, float]] = Field(description="price and amount, best first")
    asks: list[tuple[float, float]]


class MergedPlace(BaseModel):
    """An exchange's part of a merged level."""

    exchange: str
    amount: Text


class MergedLevel(BaseModel):
    """A price, and who holds it."""

    price: Text
    amount: Text
    exchanges: list[MergedPlace]


class MergedBook(BaseModel):
    """The live books of a symbol in one. It is crossed where an exchange bids more than another asks."""

    symbol: str
    exchanges: list[str] = Field(description="whose books are live")
    bids: list[MergedLevel]
    asks: list[MergedLevel]


class SideTotal(BaseModel):
    """Levels of one side in a range of prices."""

    levels: int
    amount: Text = Field(description="base units")
    value: Text = Field(description="quote units")
    worst_price: Text | None


class WithinAnswer(BookHead):
    """What each side holds within a distance of its best price."""

    bps: float
    bids: SideTotal
    asks: SideTotal


class CumulativeAnswer(BookHead):
    """Each level with all levels up to it."""

    bids: list[AccumulatedLevel]
    asks: list[AccumulatedLevel]


class SpreadAnswer(BookHead):
    """Spread and mid; null while a side is empty."""

    bid: Text | None
    ask: Text | None
    spread: Text | None
    mid: Text | None
    spread_bps: float | None


class ImbalanceAnswer(BookHead):
    """Which side holds more."""

    depth: int
    bid_amount: Text
    ask_amount: Text
    imbalance: float | None = Field(description="from -1 (asks only) to 1 (bids only)")


class CostAnswer(BookHead):
    """What an immediate order gets, without fees."""

    side: Literal["buy", "sell"]
    amount: Text = Field(description="base units that the levels hold of the order")
    value: Text = Field(description="quote units paid or received")
    average_price: Text | None
    worst_price: Text | None
    slippage_bps: float | None = Field(description="of the average price from the best")
    levels: int = Field(description="levels that it takes from")
    filled: bool = Field(description="whether the book holds all of it")


class StatisticsAnswer(BookHead):
    """Size and speed of a book."""

    bid_levels: int
    ask_levels: int
    bid_amount: Text = Field(description="base units")
    ask_amount: Text
    updates_per_second: float = Field(description="in the last minute")


class TruthAnswer(BaseModel):
    """Comparisons of the book with the exchange's own BBO, in the reports that this process has read."""

    compared: int
    agreed: int
    differed: int


class HealthAnswer(BookHead):
    """Whether a book can be trusted."""

    open_gaps: list[str] = Field(description="causes of the gaps that are open")
    truth: TruthAnswer


class PastLevel(BaseModel):
    """A level of a past book."""

    price: Text
    amount: Text


class PastBook(BaseModel):
    """The rebuilt book as it was at a time of receipt."""

    exchange: str
    symbol: str
    at: int = Field(description="microseconds since the epoch")
    bids: list[PastLevel]
    asks: list[PastLevel]
