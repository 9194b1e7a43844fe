"""The events as the client returns them. `make docs` writes this module from `schemas/events/`."""

from decimal import Decimal
from typing import ClassVar, Literal

from msgspec import Struct

from marketprism.client.level import Level


class Trade(Struct, frozen=True, gc=False, kw_only=True):
    """One trade. `kind` is `normal`, or the exchange's mark (`insurance_fund`, `adl`, `liquidation`)."""

    topic_name: ClassVar[str] = "market.trades"

    source: str
    exchange: str
    symbol: str
    timestamp: int  # exchange time; receipt time where the exchange sends none
    local_timestamp: int  # receipt by ingest
    id: str
    price: Decimal
    amount: Decimal  # base units
    side: Literal["buy", "sell"]  # of the taker
    kind: str
    exchange_amount: Decimal  # in the unit of the exchange: contracts, USD, or base units


class Book(Struct, frozen=True, gc=False, kw_only=True):
    """A rebuilt book (`snapshot`) or the changed levels of one (`update`).

    Amounts are absolute, and 0 deletes a level. Within a live book `previous` is the `sequence` of the event before.
    """

    topic_name: ClassVar[str] = "market.books"

    source: str
    exchange: str
    symbol: str
    timestamp: int  # exchange time; receipt time where the exchange sends none
    local_timestamp: int  # receipt by ingest
    type: Literal["snapshot", "update"]  # snapshot: the whole book; update: changed levels, 0 deletes
    sequence: int  # id of the last change contained
    previous: int  # sequence of the event before
    bids: list[Level]
    asks: list[Level]


class Quote(Struct, frozen=True, gc=False, kw_only=True):
    """Top of book, from the exchange's own channel (`bbo`) or from the rebuilt book (`book`).

    Levels come best first, and more than one only while the book is live. A side may be empty.
    """

    topic_name: ClassVar[str] = "market.quotes"

    source: str
    exchange: str
    symbol: str
    timestamp: int  # exchange time; receipt time where the exchange sends none
    local_timestamp: int  # receipt by ingest
    origin: Literal["bbo", "book"]  # bbo: the exchange's own channel; book: the rebuilt book
    sequence: int
    bids: list[Level]
    asks: list[Level]


class Ticker(Struct, frozen=True, gc=False, kw_only=True):
    """The exchange's summary of the past 24 hours. What it does not publish is null.

    Deribit publishes no opening price, OKX no quote volume of derivatives, Binance none of coin-margined contracts.
    HTX counts both sides of each trade of a swap.
    """

    topic_name: ClassVar[str] = "market.tickers"

    source: str
    exchange: str
    symbol: str
    timestamp: int  # exchange time; receipt time where the exchange sends none
    local_timestamp: int  # receipt by ingest
    last: Decimal  # price of the last trade
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    volume: Decimal | None  # base units
    quote_volume: Decimal | None  # quote units
    trades: int | None  # number of trades
    window: str  # the period summarised: 24h


class Candle(Struct, frozen=True, gc=False, kw_only=True):
    """A candle: the trades of one interval, from the exchange's own klines. The open one is repeated as it changes.

    Exchanges that do not mark the last update of a candle (HTX, Deribit) close it by beginning the next.
    """

    topic_name: ClassVar[str] = "market.candles"

    source: str
    exchange: str
    symbol: str
    timestamp: int  # exchange time; receipt time where the exchange sends none
    local_timestamp: int  # receipt by ingest
    origin: Literal["exchange", "trades"]  # exchange: its own klines
    contract: str  # continuous contract of the pair (current_quarter); empty: the instrument itself
    interval: str  # 1m, 1h, 1d, 1M, …
    start: int
    end: int  # the start of the next candle
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal | None  # base units
    quote_volume: Decimal | None  # quote units
    trades: int | None  # number of trades
    taker_buy_volume: Decimal | None  # base units bought by takers
    taker_buy_quote_volume: Decimal | None  # quote units paid by takers who bought
    closed: bool  # no further update follows
    complete: bool  # false: its last updates may be missing


class Funding(Struct, frozen=True, gc=False, kw_only=True):
    """Funding of a perpetual: what the longs pay to the shorts, a fraction of the position (0.0001: 0.01 %).

    `estimated`: `rate` is the exchange's estimate for the running period. Where funding is continuous (Deribit), it is
    the current rate of 8 hours, and there is no next payment. `settled`: the rate that was paid at `timestamp`; on
    Deribit that of the hour before.
    """

    topic_name: ClassVar[str] = "market.funding"

    source: str
    exchange: str
    symbol: str
    timestamp: int  # exchange time; receipt time where the exchange sends none
    local_timestamp: int  # receipt by ingest
    type: Literal["estimated", "settled"] = "estimated"  # estimated: of the running period; settled: paid
    rate: Decimal  # fraction of the position, for one interval
    interval_hours: int | None  # hours that the rate covers, where known
    next_funding_at: int | None  # of the next payment; null: settled, or continuous
    mark_price: Decimal | None
    index_price: Decimal | None


class MarkPrice(Struct, frozen=True, gc=False, kw_only=True):
    """The price by which positions are valued, and what it derives from."""

    topic_name: ClassVar[str] = "market.mark_prices"

    source: str
    exchange: str
    symbol: str
    timestamp: int  # exchange time; receipt time where the exchange sends none
    local_timestamp: int  # receipt by ingest
    mark_price: Decimal
    index_price: Decimal | None
    settlement_price: Decimal | None  # the exchange's estimate for the delivery


class OpenInterest(Struct, frozen=True, gc=False, kw_only=True):
    """Open positions of one instrument. OKX and HTX publish contracts and base units, of some contracts the value too.

    Binance publishes base units, and of coin-margined contracts only their number. Deribit publishes the value of
    inverse contracts, and base units of all others.
    """

    topic_name: ClassVar[str] = "market.open_interest"

    source: str
    exchange: str
    symbol: str
    timestamp: int  # exchange time; receipt time where the exchange sends none
    local_timestamp: int  # receipt by ingest
    contracts: Decimal | None  # in the exchange's contracts
    amount: Decimal | None  # base units
    value: Decimal | None  # quote units


class Liquidation(Struct, frozen=True, gc=False, kw_only=True):
    """A forced order that closed a position. `sampled`: the exchange publishes only some of them."""

    topic_name: ClassVar[str] = "market.liquidations"

    source: str
    exchange: str
    symbol: str
    timestamp: int  # exchange time; receipt time where the exchange sends none
    local_timestamp: int  # receipt by ingest
    side: Literal["buy", "sell"]  # of the liquidation order: sell closes a long position
    price: Decimal | None  # of the order, usually the bankruptcy price
    average_price: Decimal | None  # of its execution
    amount: Decimal  # base units
    sampled: bool  # the exchange publishes only some of them


class LongShortRatio(Struct, frozen=True, gc=False, kw_only=True):
    """How accounts, positions or takers were divided in one period. `symbol` may be a currency: all its contracts.

    `long` and `short` are fractions that add up to 1, or to less where an exchange leaves out accounts that are both
    (HTX); of `taker_volume` they are the volumes bought and sold by takers, in the exchange's unit. OKX publishes only
    the ratio of accounts and positions, HTX only the shares. `timestamp` is the period's start on Binance; OKX and HTX
    do not document which end theirs is.
    """

    topic_name: ClassVar[str] = "market.long_short_ratios"

    source: str
    exchange: str
    symbol: str
    timestamp: int  # exchange time; receipt time where the exchange sends none
    local_timestamp: int  # receipt by ingest
    # of top traders: their number, or the size of their positions; of all; or what takers traded
    scope: Literal["top_accounts", "top_positions", "all_accounts", "taker_volume"]
    period: str  # 5m, …
    long: Decimal | None  # share; of taker_volume the volume bought
    short: Decimal | None  # share; of taker_volume the volume sold
    ratio: Decimal | None  # long / short, where the exchange publishes it


class OptionSummary(Struct, frozen=True, gc=False, kw_only=True):
    """Volatilities and Black-Scholes greeks of an option. Volatilities are fractions a year (0.55: 55 %)."""

    topic_name: ClassVar[str] = "market.options"

    source: str
    exchange: str
    symbol: str
    timestamp: int  # exchange time; receipt time where the exchange sends none
    local_timestamp: int  # receipt by ingest
    mark_iv: Decimal | None
    bid_iv: Decimal | None
    ask_iv: Decimal | None
    delta: Decimal | None
    gamma: Decimal | None
    vega: Decimal | None
    theta: Decimal | None
    rho: Decimal | None
    underlying_price: Decimal | None
    underlying_index: str | None  # what the underlying price is of, as the exchange calls it
    open_interest: Decimal | None  # base units


class InstrumentChange(Struct, frozen=True, gc=False, kw_only=True):
    """An instrument's definition: when it is first known (`listed`), for each field that changes, and when it goes.

    `field`, `old` and `new` are empty unless it is `changed`. All other fields are the definition as of now.
    """

    topic_name: ClassVar[str] = "market.instruments"

    source: str
    exchange: str
    symbol: str
    timestamp: int  # exchange time; receipt time where the exchange sends none
    local_timestamp: int  # receipt by ingest
    type: Literal["listed", "changed", "delisted"]  # listed: first known; changed: one field
    field: str
    old: str
    new: str
    feed: str
    exchange_symbol: str  # the exchange's own name
    kind: str  # spot, perp, future, option
    base: str
    quote: str
    settle: str  # currency of settlement; empty: unknown
    tick_size: Decimal | None  # smallest step of prices
    lot_size: Decimal | None  # smallest step of amounts, in the exchange's unit
    contract_size: Decimal  # of one unit of amount: base units, or quote units if inverse
    inverse: bool
    expiry: str  # YYMMDD; empty: none
    status: str  # trading, halted, closed


class Gap(Struct, frozen=True, gc=False, kw_only=True):
    """Missing data: `opened` when something was missed, `closed` when that is over.

    A gap closes when the book is live again, when trades arrive again after an outage, or when the last missing trade
    has arrived. `cause`: `sequence` (ids did not follow), `disconnected`, `absent` (nobody ingested the feed), `lost`
    (ingest had to drop frames), `skipped` (a record that could not be processed), `restarted` (the exchange's ids
    started over), `checksum`, `crossed` (the book contradicted itself), `quality` (the exchange's BBO contradicted it),
    `depth` (the price left the levels that the snapshot held), `changed` (its contract size changed).
    """

    topic_name: ClassVar[str] = "market.gaps"

    source: str
    exchange: str
    symbol: str
    timestamp: int  # exchange time; receipt time where the exchange sends none
    local_timestamp: int  # receipt by ingest
    type: Literal["opened", "closed"]  # opened or closed
    id: str  # the same in opened and closed
    cause: str
    channel: Literal["books", "trades"]  # the channel with the gap
    since: int  # receipt of the last frame before the gap
    first_missing: str  # id of the first missing trade (Deribit: its trade_seq); empty: unknown
    last_missing: str  # id of the last missing trade; empty: unknown
    expected: int  # id expected at a sequence gap of a book, else 0
    received: int  # id received at a sequence gap of a book, else 0
    duration: int  # microseconds since `since`, at closed


class Quality(Struct, frozen=True, gc=False, kw_only=True):
    """Comparison of the exchange's BBO with the rebuilt book's top at the same update id.

    `report`: counts since the last report. `difference`: one disagreement, with both tops as `[bid price, bid amount,
    ask price, ask amount]`.
    """

    topic_name: ClassVar[str] = "market.quality"

    source: str
    exchange: str
    symbol: str
    timestamp: int  # exchange time; receipt time where the exchange sends none
    local_timestamp: int  # receipt by ingest
    type: Literal["report", "difference"]  # report: counts since the last; difference: a disagreement
    compared: int
    agreed: int
    differed: int
    sequence: int
    bbo: list[str]  # bid price, bid amount, ask price, ask amount; NULL: empty side
    book: list[str]  # the same of the rebuilt book


class Status(Struct, frozen=True, gc=False, kw_only=True):
    """Feed health of one instrument. `channels`: the affected channels; empty means the whole connection.

    `connected`, `disconnected`, `subscribed`, `refused`; `notice`: an announcement of the exchange; `rate_limited`;
    `rest_down`, `rest_up`: requests to the exchange fail repeatedly (`reason`: the last failure), succeed again;
    `renewing`, `renewed`: the connection is being replaced without a break; `silent` (`age`: for how long; `reason`:
    what is done: `resubscribe`, `reconnect`, `retry` a poll), `resumed`; `wrong_clock`, `clock_right`: the exchange's
    times; `absent` (`age`: for how long), `returned`: nobody ingests the feed, somebody does again; `clock_stepped`:
    our own clock was set back; `listed`, `changed`, `delisted`: its definition; `not_tradable`: its book is crossed, as
    before an opening; `limited`: a size bound was reached; `skipped`: a record that could not be processed was set
    aside; `implausible`: its price and another exchange's are too far apart for the same coin, so that they are not
    paired (`reason`: both); `report`: every 10 s, for each channel.
    """

    topic_name: ClassVar[str] = "market.status"

    source: str
    exchange: str
    symbol: str
    timestamp: int  # exchange time; receipt time where the exchange sends none
    local_timestamp: int  # receipt by ingest
    # connected, disconnected, …; report: one channel, every 10 s
    type: Literal[
        "connected",
        "disconnected",
        "subscribed",
        "refused",
        "renewing",
        "renewed",
        "silent",
        "resumed",
        "absent",
        "returned",
        "wrong_clock",
        "clock_right",
        "clock_stepped",
        "rate_limited",
        "rest_down",
        "rest_up",
        "notice",
        "listed",
        "changed",
        "delisted",
        "skipped",
        "not_tradable",
        "limited",
        "implausible",
        "report",
    ]
    channels: list[str]  # affected channels; empty: the whole connection
    reason: str
    messages: int  # since the last report
    repeated: int  # duplicates among them, which were dropped
    age: int  # microseconds since the last message; of silent and resumed: the silence
    latency_median: int  # microseconds from exchange time to receipt, by the exchange's clock; 0: no times
    latency_max: int  # microseconds
    clock_offset: int  # microseconds, the exchange's clock minus ours
    round_trip: int  # microseconds, of the request for the exchange's clock
    reconnects: int  # after a loss, since the start
    renewals: int  # without a break, since the start


class SignalSide(Struct, frozen=True, gc=False, kw_only=True):
    """One side of a signal: the quote that it rests on."""

    exchange: str
    source: str
    origin: Literal["bbo", "book"]
    sequence: int
    book: Literal["waiting", "live", "stale"]
    price: Decimal
    average_price: Decimal  # of the executable amount
    timestamp: int
    local_timestamp: int
    age: int  # microseconds, at the event's local_timestamp
    fee_bps: float


class Signal(Struct, frozen=True, gc=False, kw_only=True):
    """An opportunity to buy on one exchange and sell the same symbol on another.

    `id` derives from the opening. `amount` is what the levels of both sides hold while the marginal trade pays after
    both fees; `profit` is what that earns. `gross_bps` and `net_bps` compare the best prices. `spread_*` are rolling
    statistics of the pair's gross spread in basis points.
    """

    topic_name: ClassVar[str] = "signals.arbitrage"

    source: str
    id: str  # one opportunity, from opened to closed
    symbol: str
    type: Literal["opened", "updated", "closed"]  # opened, updated, closed
    reason: Literal["", "spread_gone", "quote_too_old", "book_not_live", "implausible"]  # why it closed
    timestamp: int
    local_timestamp: int
    opened_at: int
    lifetime: int  # microseconds since opened_at
    buy: SignalSide
    sell: SignalSide
    gross_bps: float
    net_bps: float
    amount: Decimal  # base units
    profit: Decimal  # quote units, net of fees
    peak_net_bps: float
    peak_amount: Decimal
    peak_profit: Decimal
    spread_mean_bps: float
    spread_stdev_bps: float
    spread_zscore: float
    spread_count: int


class DeadLetter(Struct, frozen=True, gc=False, kw_only=True):
    """Bytes that could not be processed or stored, and why. At most 256 KiB of them, of a poison record 3 MiB."""

    topic_name: ClassVar[str] = "dead_letters"

    source: str
    exchange: str
    symbol: str
    local_timestamp: int
    topic: str  # where it came from, without the prefix
    reason: str
    encoding: Literal["text", "base64"]
    frame: str
    frame_bytes: int  # of the whole frame; `frame` may be cut
