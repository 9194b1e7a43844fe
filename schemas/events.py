"""The event models: what every consumer of `market.*`, `signals.*` and `dead_letters` may rely on.

A model declares its topic, the topic's retention and its ClickHouse table. The topic table, JSON Schema, DDL, live view
and README derive from the registry `EVENTS`.

The hot path builds plain dicts of these shapes. The models validate in tests and at the edges. Conventions: times are
integer microseconds since the epoch, UTC; prices and amounts are plain decimal strings, amounts in base units; `side`
is the taker's; `source` comes first in every JSON object (`schemas/sources.py`).
"""

from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from schemas.fields import DecimalOrEmpty, Label, Level, Micros, PlainDecimal, SignedDecimal, Source


class Event(BaseModel):
    """Base of all events. `meaning`: the topic in a few words; `topic_key`: its record keys.

    `is_kind`: it comes from the exchanges' channels, and the setting `kinds` selects it by its table's name.
    """

    model_config = ConfigDict(extra="forbid")

    topic_name: ClassVar[str]
    table_name: ClassVar[str]
    meaning: ClassVar[str]
    retention_days: ClassVar[int] = 30
    is_kind: ClassVar[bool] = False
    topic_key: ClassVar[str] = "exchange:symbol"

    source: Source


class MarketEvent(Event):
    """Base of the events of one instrument."""

    exchange: Label
    symbol: Label
    timestamp: Annotated[Micros, Field(description="exchange time; receipt time where the exchange sends none")]
    local_timestamp: Annotated[Micros, Field(description="receipt by ingest")]


class Trade(MarketEvent):
    """One trade. `kind` is `normal`, or the exchange's mark (`insurance_fund`, `adl`, `liquidation`)."""

    topic_name = "market.trades"
    table_name = "trades"
    is_kind = True
    meaning = "trades"
    retention_days = 7

    id: str
    price: PlainDecimal
    amount: Annotated[PlainDecimal, Field(description="base units")]
    side: Annotated[Literal["buy", "sell"], Field(description="of the taker")]
    kind: Label
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
    bids: list[Level]
    asks: list[Level]


class Quote(MarketEvent):
    """Top of book, from the exchange's own channel (`bbo`) or from the rebuilt book (`book`).

    Levels come best first, and more than one only while the book is live. A side may be empty.
    """

    topic_name = "market.quotes"
    table_name = "quotes"
    is_kind = True
    meaning = "top of book: `bbo` from the exchange, `book` from the rebuilt book, with the levels behind it"
    retention_days = 2

    origin: Annotated[
        Literal["bbo", "book"], Field(description="bbo: the exchange's own channel; book: the rebuilt book")
    ]
    sequence: int
    bids: list[Level]
    asks: list[Level]


class Funding(MarketEvent):
    """Funding of a perpetual: what the longs pay to the shorts, a fraction of the position (0.0001: 0.01 %).

    `rate` is the exchange's estimate for the running period. Where funding is continuous (Deribit), it is the current
    rate of 8 hours, and there is no next payment.
    """

    topic_name = "market.funding"
    table_name = "funding"
    is_kind = True
    meaning = "funding rates of perpetuals, with mark and index prices where the exchange sends them"

    rate: Annotated[SignedDecimal, Field(description="fraction of the position, for one interval")]
    interval_hours: Annotated[int | None, Field(description="hours between two payments, where known")]
    next_funding_at: Annotated[Micros | None, Field(description="time of the next payment; null: continuous")]
    mark_price: PlainDecimal | None
    index_price: PlainDecimal | None


class Gap(MarketEvent):
    """Missing data: `opened` when something was missed, `closed` when that is over.

    A gap closes when the book is live again, when trades arrive again after an outage, or when the last missing trade
    has arrived. `cause`: `sequence` (ids did not follow), `disconnected`, `absent` (nobody ingested the feed), `lost`
    (ingest had to drop frames), `skipped` (a record that could not be processed), `restarted` (the exchange's ids
    started over), `checksum`, `crossed` (the book contradicted itself), `quality` (the exchange's BBO contradicted it),
    `depth` (the price left the levels that the snapshot held), `changed` (its contract size changed).
    """

    topic_name = "market.gaps"
    table_name = "gaps"
    meaning = "missing books and trades: opened with the cause, closed with the duration"

    type: Annotated[Literal["opened", "closed"], Field(description="opened or closed")]
    id: Annotated[str, Field(description="the same in opened and closed")]
    cause: Label
    channel: Annotated[Literal["books", "trades"], Field(description="the channel with the gap")]
    since: Annotated[Micros, Field(description="receipt of the last frame before the gap")]
    first_missing: Annotated[
        str, Field(description="id of the first missing trade (Deribit: its trade_seq); empty: unknown")
    ]
    last_missing: Annotated[str, Field(description="id of the last missing trade; empty: unknown")]
    expected: Annotated[int, Field(description="id expected at a sequence gap of a book, else 0")]
    received: Annotated[int, Field(description="id received at a sequence gap of a book, else 0")]
    duration: Annotated[int, Field(description="microseconds since `since`, at closed")]


class Quality(MarketEvent):
    """Comparison of the exchange's BBO with the rebuilt book's top at the same update id.

    `report`: counts since the last report. `difference`: one disagreement, with both tops as `[bid price, bid amount,
    ask price, ask amount]`.
    """

    topic_name = "market.quality"
    table_name = "quality"
    meaning = "the exchange's BBO against the rebuilt book at the same update id"

    type: Annotated[
        Literal["report", "difference"], Field(description="report: counts since the last; difference: a disagreement")
    ]
    compared: int
    agreed: int
    differed: int
    sequence: int
    bbo: Annotated[
        list[DecimalOrEmpty],
        Field(description="bid price, bid amount, ask price, ask amount; NULL: empty side"),
    ]
    book: Annotated[
        list[DecimalOrEmpty],
        Field(description="the same of the rebuilt book"),
    ]


StatusType = Literal[
    "connected", "disconnected", "subscribed", "refused", "renewing", "renewed", "silent", "resumed",
    "absent", "returned", "wrong_clock", "clock_right", "clock_stepped", "rate_limited", "notice", "listed",
    "changed", "delisted", "skipped", "not_tradable", "limited", "implausible", "report",
]  # fmt: skip
STATUS_TYPES: frozenset[str] = frozenset(get_args(StatusType))


class Status(MarketEvent):
    """Feed health of one instrument. `channels`: the affected channels; empty means the whole connection.

    `connected`, `disconnected`, `subscribed`, `refused`; `notice`: an announcement of the exchange; `rate_limited`;
    `renewing`, `renewed`: the connection is being replaced without a break; `silent` (`age`: for how long; `reason`:
    what is done: `resubscribe`, `reconnect`), `resumed`; `wrong_clock`, `clock_right`: the exchange's times; `absent`
    (`age`: for how long), `returned`: nobody ingests the feed, somebody does again; `clock_stepped`: our own clock was
    set back; `listed`, `changed`, `delisted`: its definition; `not_tradable`: its book is crossed, as before an
    opening; `limited`: a size bound was reached; `skipped`: a record that could not be processed was set aside;
    `implausible`: its price and another exchange's are too far apart for the same coin, so that they are not paired
    (`reason`: both); `report`: every 10 s, for each channel.
    """

    topic_name = "market.status"
    table_name = "status"
    meaning = "feed health: connections, subscriptions, silent channels, data age, latency, clocks"

    type: Annotated[StatusType, Field(description="connected, disconnected, …; report: one channel, every 10 s")]
    channels: Annotated[list[Label], Field(description="affected channels; empty: the whole connection")]
    reason: str
    messages: Annotated[int, Field(description="since the last report")]
    repeated: Annotated[int, Field(description="duplicates among them, which were dropped")]
    age: Annotated[int, Field(description="microseconds since the last message; of silent and resumed: the silence")]
    latency_median: Annotated[
        int, Field(description="microseconds from exchange time to receipt, by the exchange's clock; 0: no times")
    ]
    latency_max: Annotated[int, Field(description="microseconds")]
    clock_offset: Annotated[int, Field(description="microseconds, the exchange's clock minus ours")]
    round_trip: Annotated[int, Field(description="microseconds, of the request for the exchange's clock")]
    reconnects: Annotated[int, Field(description="after a loss, since the start")]
    renewals: Annotated[int, Field(description="without a break, since the start")]


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


class DeadLetter(Event):
    """Bytes that could not be processed or stored, and why. At most 256 KiB of them, of a poison record 3 MiB."""

    topic_name = "dead_letters"
    table_name = "dead_letters"
    meaning = "unparseable frames, rejected rows, poison records: the reason and the bytes"

    exchange: Label
    symbol: Label
    local_timestamp: Micros
    topic: Annotated[Label, Field(description="where it came from, without the prefix")]
    reason: str
    encoding: Literal["text", "base64"]
    frame: str
    frame_bytes: Annotated[int, Field(description="of the whole frame; `frame` may be cut", ge=0)]


EVENTS: dict[str, type[Event]] = {
    event.topic_name: event for event in (Trade, Book, Quote, Funding, Gap, Quality, Status, Signal, DeadLetter)
}
TABLES: dict[str, str] = {topic: event.table_name for topic, event in EVENTS.items()}
KINDS: tuple[str, ...] = tuple(event.table_name for event in EVENTS.values() if event.is_kind)


def json_schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of each event model, by topic."""
    return {topic: model.model_json_schema() for topic, model in EVENTS.items()}
