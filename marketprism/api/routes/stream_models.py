"""The messages of the WebSocket, for its document."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

# The channels' names after the table's: those with one value, and those with items.
VALUES = {
    "quotes": "SYMBOL:EXCHANGE",
    "tickers": "SYMBOL:EXCHANGE",
    "candles": "SYMBOL:EXCHANGE:INTERVAL",
    "funding": "SYMBOL:EXCHANGE",
    "mark_prices": "SYMBOL:EXCHANGE",
    "open_interest": "SYMBOL:EXCHANGE",
    "long_short_ratios": "SYMBOL:EXCHANGE:SCOPE",
    "options": "SYMBOL:EXCHANGE",
    "instruments": "SYMBOL:EXCHANGE",
}
LISTS = {
    "trades": "SYMBOL:EXCHANGE",
    "liquidations": "SYMBOL:EXCHANGE",
    "signals": "SYMBOL",
    "gaps": "SYMBOL:EXCHANGE",
    "quality": "SYMBOL:EXCHANGE",
    "status": "SYMBOL:EXCHANGE",
    "dead_letters": "SYMBOL:EXCHANGE",
}
ORDER_BOOKS = {"books": "20 levels a side", "depth": "200 levels a side, at most four times a second"}

Patterns = Annotated[
    list[str], Field(examples=[["quotes:BTC-USDT:*"]], description="kind:symbol:exchange; * matches all")
]


class Request(BaseModel):
    """Subscribe to the channels that match patterns, or no longer."""

    model_config = ConfigDict(extra="forbid")

    subscribe: Patterns = []
    unsubscribe: Patterns = []


class Subscribed(BaseModel):
    """All patterns of the client now: the answer to a request."""

    type: Literal["subscribed"]
    patterns: Patterns


class Rejected(BaseModel):
    """A request that cannot be used."""

    type: Literal["error"]
    reason: str


class Heartbeat(BaseModel):
    """The connection lives, although nothing has changed for 5 s."""

    type: Literal["heartbeat"]
    time: int = Field(description="microseconds since the epoch")


class Change(BaseModel):
    """One channel: its value, or its new items."""

    channel: str
    type: Literal["snapshot", "change"]
    sequence: int = Field(description="grows by one with each change of the channel")
    skipped: int = Field(0, description="items that were left out, as the client was too slow")
    data: Any = Field(description="as the channel's kind has it")


class Changes(BaseModel):
    """What has changed since the last frame."""

    type: Literal["changes"]
    time: int = Field(description="microseconds since the epoch")
    changes: list[Change]


class BookValue(BaseModel):
    """Best levels of a rebuilt book, as price and amount, best first."""

    exchange: str
    symbol: str
    state: Literal["live", "stale"]
    timestamp: int
    local_timestamp: int
    sequence: int
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]
