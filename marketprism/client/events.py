"""The events as the client returns them. `make docs` writes this module from `schemas/events/`."""

from decimal import Decimal
from typing import ClassVar, Literal

from msgspec import Struct

from marketprism.client.level import Level


class Trade(Struct, frozen=True, gc=False, kw_only=True):
    """One trade. `kind` is `normal`, or the exchange's mark (`insurance_fund`, `adl`, `liquidation`)."""

    topic_name: ClassVar[str] = "market.trades"

    source: str
    exchange: str  # binance, okx, htx or deribit
    symbol: str  # our name: BTC-USDT, BTC-USDT-PERP, BTC-USDT-261225, BTC-USD-261225-76000-C
    timestamp: int  # exchange time; receipt time where the exchange sends none
    local_timestamp: int  # receipt by ingest
    id: str  # the exchange's id of the trade
    price: Decimal  # quote units per base unit
    amount: Decimal  # base units
    side: Literal["buy", "sell"]  # of the taker
    kind: str  # normal, or the exchange's mark: liquidation, insurance_fund, adl, …
    exchange_amount: Decimal  # in the unit of the exchange: contracts, USD, or base units


class Book(Struct, frozen=True, gc=False, kw_only=True):
    """A rebuilt book (`snapshot`) or the changed levels of one (`update`).

    Amounts are absolute, and 0 deletes a level. Within a live book `previous` is the `sequence` of the event before.
    """

    topic_name: ClassVar[str] = "market.books"

    source: str
    exchange: str  # binance, okx, htx or deribit
    symbol: str  # our name: BTC-USDT, BTC-USDT-PERP, BTC-USDT-261225, BTC-USD-261225-76000-C
    timestamp: int  # exchange time; receipt time where the exchange sends none
    local_timestamp: int  # receipt by ingest
    type: Literal["snapshot", "update"]  # snapshot: the whole book; update: changed levels, 0 deletes
    sequence: int  # id of the last change contained
    previous: int  # sequence of the event before
    bids: list[Level]  # the buy side's levels, in an update those that changed
    asks: list[Level]  # the sell side's levels, in an update those that changed


class Quote(Struct, frozen=True, gc=False, kw_only=True):
    """Top of book: from the exchange's own channel (`bbo`), the rebuilt book (`book`), or polled by REST (`rest`).

    A quote by `rest` stands in for a book that cannot be had by socket. Levels come best first; a `bbo` has more than
    one only while the book is live. A side may be empty.
    """

    topic_name: ClassVar[str] = "market.quotes"

    source: str
    exchange: str  # binance, okx, htx or deribit
    symbol: str  # our name: BTC-USDT, BTC-USDT-PERP, BTC-USDT-261225, BTC-USD-261225-76000-C
    timestamp: int  # exchange time; receipt time where the exchange sends none
    local_timestamp: int  # receipt by ingest
    # bbo: the exchange's own channel; book: the rebuilt book; rest: polled, as no socket has it
    origin: Literal["bbo", "book", "rest"]
    sequence: int  # update id; 0: the exchange sends none
    bids: list[Level]  # the buy side's levels, best first
    asks: list[Level]  # the sell side's levels, best first


class Ticker(Struct, frozen=True, gc=False, kw_only=True):
    """The exchange's summary of the past 24 hours. What it does not publish is null.

    Deribit publishes no opening price, OKX no quote volume of derivatives, Binance none of coin-margined contracts.
    HTX counts both sides of each trade of a swap.
    """

    topic_name: ClassVar[str] = "market.tickers"

    source: str
    exchange: str  # binance, okx, htx or deribit
    symbol: str  # our name: BTC-USDT, BTC-USDT-PERP, BTC-USDT-261225, BTC-USD-261225-76000-C
    timestamp: int  # exchange time; receipt time where the exchange sends none
    local_timestamp: int  # receipt by ingest
    last: Decimal  # price of the last trade, quote units
    open: Decimal | None  # price at the start of the window, quote units
    high: Decimal | None  # highest price, quote units
    low: Decimal | None  # lowest price, quote units
    volume: Decimal | None  # base units
    quote_volume: Decimal | None  # quote units
    trades: int | None  # number of trades
    window: str  # the period summarised: 24h


class Candle(Struct, frozen=True, gc=False, kw_only=True):
    """A candle: the trades of one interval. The open one is repeated as it changes, the closed one is final.

    `exchange`: from its own klines. Exchanges that do not mark the last update of a candle (HTX, Deribit) close it by
    beginning the next. `trades`: made of its trades on the book, in base and quote units; it closes by stream time.
    """

    topic_name: ClassVar[str] = "market.candles"

    source: str
    exchange: str  # binance, okx, htx or deribit
    symbol: str  # our name: BTC-USDT, BTC-USDT-PERP, BTC-USDT-261225, BTC-USD-261225-76000-C
    timestamp: int  # exchange time; receipt time where the exchange sends none
    local_timestamp: int  # receipt by ingest
    origin: Literal["exchange", "trades"]  # exchange: its own klines; trades: made of its trades
    contract: str  # continuous contract of the pair (current_quarter); empty: the instrument itself
    interval: str  # 1m, 1h, 1d, 1M, …
    start: int  # the first instant of the interval
    end: int  # the start of the next candle
    open: Decimal  # first price, quote units
    high: Decimal  # highest price, quote units
    low: Decimal  # lowest price, quote units
    close: Decimal  # last price, quote units
    volume: Decimal | None  # base units
    quote_volume: Decimal | None  # quote units
    trades: int | None  # number of trades
    taker_buy_volume: Decimal | None  # base units bought by takers
    taker_buy_quote_volume: Decimal | None  # quote units paid by takers who bought
    closed: bool  # no further update follows
    complete: bool  # false: trades or its last updates may be missing


class Funding(Struct, frozen=True, gc=False, kw_only=True):
    """Funding of a perpetual: what the longs pay to the shorts, a fraction of the position (0.0001: 0.01 %).

    `estimated`: `rate` is the exchange's estimate for the running period. Where funding is continuous (Deribit), it is
    the current rate of 8 hours, and there is no next payment. `settled`: the rate that was paid at `timestamp`; on
    Deribit that of the hour before.
    """

    topic_name: ClassVar[str] = "market.funding"

    source: str
    exchange: str  # binance, okx, htx or deribit
    symbol: str  # our name: BTC-USDT, BTC-USDT-PERP, BTC-USDT-261225, BTC-USD-261225-76000-C
    timestamp: int  # exchange time; receipt time where the exchange sends none
    local_timestamp: int  # receipt by ingest
    type: Literal["estimated", "settled"] = "estimated"  # estimated: of the running period; settled: paid
    rate: Decimal  # fraction of the position, for one interval
    interval_hours: int | None  # hours that the rate covers, where known
    next_funding_at: int | None  # of the next payment; null: settled, or continuous
    mark_price: Decimal | None  # price by which positions are valued, quote units
    index_price: Decimal | None  # spot price of the index, quote units


class MarkPrice(Struct, frozen=True, gc=False, kw_only=True):
    """The price by which positions are valued, and what it derives from."""

    topic_name: ClassVar[str] = "market.mark_prices"

    source: str
    exchange: str  # binance, okx, htx or deribit
    symbol: str  # our name: BTC-USDT, BTC-USDT-PERP, BTC-USDT-261225, BTC-USD-261225-76000-C
    timestamp: int  # exchange time; receipt time where the exchange sends none
    local_timestamp: int  # receipt by ingest
    mark_price: Decimal  # price by which positions are valued, quote units
    index_price: Decimal | None  # spot price of the index, quote units
    settlement_price: Decimal | None  # the exchange's estimate for the delivery, quote units


class OpenInterest(Struct, frozen=True, gc=False, kw_only=True):
    """Open positions of one instrument. OKX and HTX publish contracts and base units, of some contracts the value too.

    Binance publishes base units, and of coin-margined contracts only their number. Deribit publishes the value of
    inverse contracts, and base units of all others.
    """

    topic_name: ClassVar[str] = "market.open_interest"

    source: str
    exchange: str  # binance, okx, htx or deribit
    symbol: str  # our name: BTC-USDT, BTC-USDT-PERP, BTC-USDT-261225, BTC-USD-261225-76000-C
    timestamp: int  # exchange time; receipt time where the exchange sends none
    local_timestamp: int  # receipt by ingest
    contracts: Decimal | None  # in the exchange's contracts
    amount: Decimal | None  # base units
    value: Decimal | None  # quote units


class Liquidation(Struct, frozen=True, gc=False, kw_only=True):
    """A forced order that closed a position. `sampled`: the exchange publishes only some of them."""

    topic_name: ClassVar[str] = "market.liquidations"

    source: str
    exchange: str  # binance, okx, htx or deribit
    symbol: str  # our name: BTC-USDT, BTC-USDT-PERP, BTC-USDT-261225, BTC-USD-261225-76000-C
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
    exchange: str  # binance, okx, htx or deribit
    symbol: str  # our name: BTC-USDT, BTC-USDT-PERP, BTC-USDT-261225, BTC-USD-261225-76000-C
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
    exchange: str  # binance, okx, htx or deribit
    symbol: str  # our name: BTC-USDT, BTC-USDT-PERP, BTC-USDT-261225, BTC-USD-261225-76000-C
    timestamp: int  # exchange time; receipt time where the exchange sends none
    local_timestamp: int  # receipt by ingest
    mark_iv: Decimal | None  # implied volatility of the mark price, a fraction a year
    bid_iv: Decimal | None  # of the best bid, a fraction a year
    ask_iv: Decimal | None  # of the best ask, a fraction a year
    delta: Decimal | None  # the option's change per unit of change of the underlying
    gamma: Decimal | None  # change of delta per unit of change of the underlying
    vega: Decimal | None  # the option's change per percentage point of volatility, as the exchange publishes it
    theta: Decimal | None  # the option's change per day, as the exchange publishes it
    rho: Decimal | None  # the option's change per percentage point of interest, as the exchange publishes it
    underlying_price: Decimal | None  # quote units
    underlying_index: str | None  # what the underlying price is of, as the exchange calls it
    open_interest: Decimal | None  # base units


class InstrumentChange(Struct, frozen=True, gc=False, kw_only=True):
    """An instrument's definition: when it is first known (`listed`), for each field that changes, and when it goes.

    `field`, `old` and `new` are empty unless it is `changed`. All other fields are the definition as of now.
    """

    topic_name: ClassVar[str] = "market.instruments"

    source: str
    exchange: str  # binance, okx, htx or deribit
    symbol: str  # our name: BTC-USDT, BTC-USDT-PERP, BTC-USDT-261225, BTC-USD-261225-76000-C
    timestamp: int  # exchange time; receipt time where the exchange sends none
    local_timestamp: int  # receipt by ingest
    type: Literal["listed", "changed", "delisted"]  # listed: first known; changed: one field
    field: str  # name of the column that changed; empty unless changed
    old: str  # its value before; empty unless changed
    new: str  # its value now; empty unless changed
    feed: str  # the feed that lists it, such as binance-usdm
    exchange_symbol: str  # the exchange's own name
    kind: str  # spot, perp, future, option
    base: str  # currency that is traded
    quote: str  # currency of the price
    settle: str  # currency of settlement; empty: unknown
    tick_size: Decimal | None  # smallest step of prices
    lot_size: Decimal | None  # smallest step of amounts, in the exchange's unit
    contract_size: Decimal  # of one unit of amount: base units, or quote units if inverse
    inverse: bool  # its contracts are worth a fixed number of quote units
    expiry: str  # YYMMDD; empty: none
    status: str  # trading, halted, closed


class Gap(Struct, frozen=True, gc=False, kw_only=True):
    """Missing data: `opened` when something was missed, `closed` when that is over, `filled` after the past was asked.

    A gap closes when the book is live again, when trades arrive again after an outage, or when the last missing trade
    has arrived. It is filled when the tables hold what the exchange offers of the missing trades. `cause`: `sequence`
    (ids did not follow), `disconnected`, `absent` (nobody ingested the feed), `stopped` (ingest was stopped; the gap
    opens when it runs again), `lost` (ingest had to drop frames), `skipped` (a record that could not be processed),
    `restarted` (the exchange's ids started over), `checksum`, `crossed` (the book contradicted itself), `quality` (the
    exchange's BBO contradicted it), `depth` (the price left the levels that the snapshot held), `changed` (its contract
    size changed).
    """

    topic_name: ClassVar[str] = "market.gaps"

    source: str
    exchange: str  # binance, okx, htx or deribit
    symbol: str  # our name: BTC-USDT, BTC-USDT-PERP, BTC-USDT-261225, BTC-USD-261225-76000-C
    timestamp: int  # exchange time; receipt time where the exchange sends none
    local_timestamp: int  # receipt by ingest
    type: Literal["opened", "closed", "filled"]  # opened, closed or filled
    id: str  # the same in opened, closed and filled
    cause: str  # why data is missing: sequence, disconnected, absent, lost, …
    channel: Literal["books", "trades"]  # the channel with the gap
    since: int  # receipt of the last frame before the gap
    first_missing: str  # id of the first missing trade (Deribit: its trade_seq); empty: unknown
    last_missing: str  # id of the last missing trade; empty: unknown
    expected: int  # id expected at a sequence gap of a book, else 0
    received: int  # id received at a sequence gap of a book, else 0
    duration: int  # microseconds since `since`, at closed and filled


class Quality(Struct, frozen=True, gc=False, kw_only=True):
    """Comparison of what we make of an exchange's messages with what it says itself. `check`: what is compared.

    `book`: its BBO with the rebuilt book's top at the same update id. A difference has both tops as `[bid price, bid
    amount, ask price, ask amount]`. `candle`: its own closed candle with the one that we made of the trades, by
    `interval` and `start`. A difference has the `fields` that differ, with both values.

    `report`: counts since the last report, of candles by interval. Only candles of which no trade is known to be
    missing are counted. `difference`: one disagreement. Of candles the `cause`, if it is known: `gap` (trades are
    missing), `late` (trades that came after the close), `not_on_book` (trades that candles leave out), `aggregated`
    (the exchange merged trades before it sent them: only their number differs), `both_sides` (it counts the buyer's and
    the seller's side).
    """

    topic_name: ClassVar[str] = "market.quality"

    source: str
    exchange: str  # binance, okx, htx or deribit
    symbol: str  # our name: BTC-USDT, BTC-USDT-PERP, BTC-USDT-261225, BTC-USD-261225-76000-C
    timestamp: int  # exchange time; receipt time where the exchange sends none
    local_timestamp: int  # receipt by ingest
    type: Literal["report", "difference"]  # report: counts since the last; difference: a disagreement
    check: Literal["book", "candle"] = "book"  # book: the top at an update id; candle: a closed candle
    compared: int  # pairs of tops or candles, in a report since the last
    agreed: int  # of those compared
    differed: int  # of those compared
    sequence: int  # update id at which both were compared; of a report the book's; 0: candles
    bbo: list[str]  # bid price, bid amount, ask price, ask amount; NULL: empty side
    book: list[str]  # the same of the rebuilt book
    interval: str = ""  # of the candles: 1m, 1h, …; empty: books
    start: int | None = None  # of the candle that differs; null: books and reports
    late: int = 0  # trades since the last report that came after their candle was closed
    cause: str = ""  # of a candle's difference: gap, late, not_on_book, aggregated, both_sides; empty: unknown
    fields: list[str] = []  # columns of the candle that differ
    theirs: list[str] = []  # values of `fields` in the exchange's candle
    ours: list[str] = []  # the same in the candle of trades; NULL: no trades


class Status(Struct, frozen=True, gc=False, kw_only=True):
    """Feed health of one instrument. `channels`: the affected channels; empty means the whole connection.

    `connected`, `disconnected`, `stopped` (ingest itself), `subscribed`, `refused`; `notice`: an announcement of the
    exchange; `rate_limited`; `rest_down`, `rest_up`: requests to the exchange fail repeatedly (`reason`: the last
    failure), succeed again; `rest_fallback`, `rest_fallback_ended`: quotes are polled by REST, as no socket brings the
    book (`reason`: why), and not any more; `host_changed`: another host or proxy is used for sockets or REST (`reason`:
    `ws` or `rest`, which one, and why); `renewing`, `renewed`: the connection is being replaced without a break;
    `silent` (`age`: for how long; `reason`: what is done: `resubscribe`, `reconnect`, `retry` a poll), `resumed`;
    `wrong_clock`, `clock_right`: the exchange's times; `absent` (`age`: for how long), `returned`: nobody ingests the
    feed, somebody does again; `clock_stepped`: our own clock was set back; `listed`, `changed`, `delisted`: its
    definition; `not_tradable`: its book is crossed, as before an opening; `limited`: a size bound was reached;
    `skipped`: a record that could not be processed was set aside; `implausible`: its price and another exchange's are
    too far apart for the same coin, so that they are not paired (`reason`: both); `report`: every 10 s, for each
    channel.
    """

    topic_name: ClassVar[str] = "market.status"

    source: str
    exchange: str  # binance, okx, htx or deribit
    symbol: str  # our name: BTC-USDT, BTC-USDT-PERP, BTC-USDT-261225, BTC-USD-261225-76000-C
    timestamp: int  # exchange time; receipt time where the exchange sends none
    local_timestamp: int  # receipt by ingest
    # connected, disconnected, …; report: one channel, every 10 s
    type: Literal[
        "connected",
        "disconnected",
        "stopped",
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
        "rest_fallback",
        "rest_fallback_ended",
        "host_changed",
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
    reason: str  # what happened or is done about it; empty: nothing to add
    messages: int  # since the last report
    repeated: int  # duplicates among them, which were dropped
    age: int  # microseconds since the last message; of silent and resumed: the silence
    latency_median: int  # microseconds from exchange time to receipt, by the exchange's clock; 0: no times
    latency_max: int  # microseconds from exchange time to receipt, the longest
    clock_offset: int  # microseconds, the exchange's clock minus ours
    round_trip: int  # microseconds, of the request for the exchange's clock
    reconnects: int  # after a loss, since the start
    renewals: int  # without a break, since the start


class SignalSide(Struct, frozen=True, gc=False, kw_only=True):
    """One side of a signal: the quote that it rests on."""

    exchange: str  # the exchange
    source: str  # source of the quote
    origin: Literal["bbo", "book", "rest"]  # bbo: the exchange's own quote; book: the rebuilt book's; rest: polled
    sequence: int  # the quote's update id; 0: none
    book: Literal["waiting", "live", "stale"]  # state of the rebuilt book at the quote
    price: Decimal  # best price, quote units
    average_price: Decimal  # of the executable amount, quote units
    timestamp: int  # exchange time of the quote
    local_timestamp: int  # receipt of the quote
    age: int  # microseconds, at the event's local_timestamp
    fee_bps: float  # taker fee, basis points


class Signal(Struct, frozen=True, gc=False, kw_only=True):
    """An opportunity to buy on one exchange and sell the same symbol on another.

    `id` derives from the opening. `amount` is what the levels of both sides hold while the marginal trade pays after
    both fees; `profit` is what that earns. `gross_bps` and `net_bps` compare the best prices. `spread_*` are rolling
    statistics of the pair's gross spread in basis points.
    """

    topic_name: ClassVar[str] = "signals.arbitrage"

    source: str
    id: str  # one opportunity, from opened to closed
    symbol: str  # our name of the instrument, the same on both sides
    type: Literal["opened", "updated", "closed"]  # opened, updated, closed
    reason: Literal["", "spread_gone", "quote_too_old", "book_not_live", "implausible"]  # why it closed
    timestamp: int  # exchange time of the later quote
    local_timestamp: int  # receipt of the line that caused the event
    opened_at: int  # local_timestamp of the opening
    lifetime: int  # microseconds since opened_at
    buy: SignalSide  # where to buy
    sell: SignalSide  # where to sell
    gross_bps: float  # sell price above buy price, basis points
    net_bps: float  # gross_bps after both fees, basis points
    amount: Decimal  # base units
    profit: Decimal  # quote units, net of fees
    peak_net_bps: float  # highest net_bps so far, basis points
    peak_amount: Decimal  # amount at the highest profit so far, base units
    peak_profit: Decimal  # highest profit so far, quote units
    spread_mean_bps: float  # rolling mean of the pair's gross spread, basis points
    spread_stdev_bps: float  # its standard deviation, basis points
    spread_zscore: float  # standard deviations of gross_bps from the mean
    spread_count: int  # observations in the rolling statistics


class DeadLetter(Struct, frozen=True, gc=False, kw_only=True):
    """Bytes that could not be processed or stored, and why. At most 256 KiB of them, of a poison record 3 MiB."""

    topic_name: ClassVar[str] = "dead_letters"

    source: str
    exchange: str  # binance, okx, htx or deribit; `?` if unknown
    symbol: str  # our name of the instrument; `?` if unknown
    local_timestamp: int  # receipt by ingest; of a rejected row, when it was published
    topic: str  # where it came from, without the prefix
    reason: str  # why it could not be processed or stored
    encoding: Literal["text", "base64"]  # of `frame`
    frame: str  # the bytes, as text or base64
    frame_bytes: int  # of the whole frame; `frame` may be cut
