"""What is traded, and at which prices: trades, books, quotes, and the exchange's own summaries of them."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.events.base import MarketEvent
from schemas.fields import Label, Level, Micros, PlainDecimal


class Trade(MarketEvent):
    """One trade. `kind` is `normal`, or the exchange's mark (`insurance_fund`, `adl`, `liquidation`)."""

    topic_name = "market.trades"
    table_name = "trades"
    is_kind = True
    meaning = "trades"
    retention_days = 7

    id: Annotated[str, Field(description="the exchange's id of the trade")]
    price: Annotated[PlainDecimal, Field(description="quote units per base unit")]
    amount: Annotated[PlainDecimal, Field(description="base units")]
    side: Annotated[Literal["buy", "sell"], Field(description="of the taker")]
    kind: Annotated[Label, Field(description="normal, or the exchange's mark: liquidation, insurance_fund, adl, …")]
    exchange_amount: Annotated[
        PlainDecimal, Field(description="in the unit of the exchange: contracts, USD, or base units")
    ]


class Book(MarketEvent):
    """A rebuilt book (`snapshot`) or the changed levels of one (`update`).

    Amounts are absolute, and 0 deletes a level. Within a live book `previous` is the `sequence` of the event before.
    """

    topic_name = "market.books"
    table_name = "books"
    is_kind = True
    meaning = "L2 `snapshot` (on going live, and every minute) and `update` events, absolute amounts"
    retention_days = 2

    type: Annotated[
        Literal["snapshot", "update"], Field(description="snapshot: the whole book; update: changed levels, 0 deletes")
    ]
    sequence: Annotated[int, Field(description="id of the last change contained")]
    previous: Annotated[int, Field(description="sequence of the event before")]
    bids: Annotated[list[Level], Field(description="the buy side's levels, in an update those that changed")]
    asks: Annotated[list[Level], Field(description="the sell side's levels, in an update those that changed")]


class Quote(MarketEvent):
    """Top of book: from the exchange's own channel (`bbo`), the rebuilt book (`book`), or polled by REST (`rest`).

    A quote by `rest` stands in for a book that cannot be had by socket. Levels come best first; a `bbo` has more than
    one only while the book is live. A side may be empty.
    """

    topic_name = "market.quotes"
    table_name = "quotes"
    is_kind = True
    meaning = "top of book: `bbo` from the exchange, `book` from the rebuilt book, `rest` while no socket brings one"
    retention_days = 2

    origin: Annotated[
        Literal["bbo", "book", "rest"],
        Field(description="bbo: the exchange's own channel; book: the rebuilt book; rest: polled, as no socket has it"),
    ]
    sequence: Annotated[int, Field(description="update id; 0: the exchange sends none")]
    bids: Annotated[list[Level], Field(description="the buy side's levels, best first")]
    asks: Annotated[list[Level], Field(description="the sell side's levels, best first")]


class Ticker(MarketEvent):
    """The exchange's summary of the past 24 hours. What it does not publish is null.

    Deribit publishes no opening price, OKX no quote volume of derivatives, Binance none of coin-margined contracts.
    HTX counts both sides of each trade of a swap.
    """

    topic_name = "market.tickers"
    table_name = "tickers"
    is_kind = True
    meaning = "the exchanges' own 24 h summaries"
    retention_days = 7

    last: Annotated[PlainDecimal, Field(description="price of the last trade, quote units")]
    open: Annotated[PlainDecimal | None, Field(description="price at the start of the window, quote units")]
    high: Annotated[PlainDecimal | None, Field(description="highest price, quote units")]
    low: Annotated[PlainDecimal | None, Field(description="lowest price, quote units")]
    volume: Annotated[PlainDecimal | None, Field(description="base units")]
    quote_volume: Annotated[PlainDecimal | None, Field(description="quote units")]
    trades: Annotated[int | None, Field(description="number of trades")]
    window: Annotated[Label, Field(description="the period summarised: 24h")]


class Candle(MarketEvent):
    """A candle: the trades of one interval. The open one is repeated as it changes, the closed one is final.

    `exchange`: from its own klines. Exchanges that do not mark the last update of a candle (HTX, Deribit) close it by
    beginning the next. `trades`: made of its trades on the book, in base and quote units; it closes by stream time.
    """

    topic_name = "market.candles"
    table_name = "candles"
    is_kind = True
    meaning = "candles of every interval, open and closed: the exchanges' own, and those made of the trades"

    origin: Annotated[
        Literal["exchange", "trades"], Field(description="exchange: its own klines; trades: made of its trades")
    ]
    contract: Annotated[
        Label, Field(description="continuous contract of the pair (current_quarter); empty: the instrument itself")
    ]
    interval: Annotated[Label, Field(description="1m, 1h, 1d, 1M, …")]
    start: Annotated[Micros, Field(description="the first instant of the interval")]
    end: Annotated[Micros, Field(description="the start of the next candle")]
    open: Annotated[PlainDecimal, Field(description="first price, quote units")]
    high: Annotated[PlainDecimal, Field(description="highest price, quote units")]
    low: Annotated[PlainDecimal, Field(description="lowest price, quote units")]
    close: Annotated[PlainDecimal, Field(description="last price, quote units")]
    volume: Annotated[PlainDecimal | None, Field(description="base units")]
    quote_volume: Annotated[PlainDecimal | None, Field(description="quote units")]
    trades: Annotated[int | None, Field(description="number of trades")]
    taker_buy_volume: Annotated[PlainDecimal | None, Field(description="base units bought by takers")]
    taker_buy_quote_volume: Annotated[PlainDecimal | None, Field(description="quote units paid by takers who bought")]
    closed: Annotated[bool, Field(description="no further update follows")]
    complete: Annotated[bool, Field(description="false: trades or its last updates may be missing")]
