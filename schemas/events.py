"""The events, as pydantic models: what every consumer of `market.*`, `signals.*` and `dead_letters` may rely on.

The hot path builds plain dicts of these shapes; the models validate in tests and at the edges and publish their
JSON Schema. Conventions: times are integer microseconds since the epoch, UTC; prices and amounts are plain decimal
strings, amounts in base units; `side` is the taker's. `source` stands first in every JSON object:

    "<exchange>:<raw partition>:<raw offset>:<line>:<n>"       an event of a raw line (n counts the line's events)
    "join:<partition>:<offset>:<line>:<n>"                      an event of the join; a signal's quotes name their own

Sources of one (topic-partition, first field, second field) only ever grow; an event at or below the highest seen
is a repetition after a crash, and equal to the first.
"""

from decimal import Decimal
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _plain_decimal(text: str) -> str:
    value = Decimal(text)
    if not value.is_finite() or "e" in text.lower():
        raise ValueError("not a plain decimal")
    return text


def _source(text: str) -> str:
    parse_source(text)
    return text


PlainDecimal = Annotated[str, AfterValidator(_plain_decimal), Field(description="decimal string, plain notation")]
Micros = Annotated[int, Field(description="microseconds since the epoch, UTC", ge=0)]
Level = tuple[PlainDecimal, PlainDecimal]


def parse_source(text: str) -> tuple[str, int, int, int, int]:
    """A source string taken apart: origin, partition, offset, line, n. Compares in order of publication."""
    origin, partition, offset, line, n = text.split(":")
    return origin, int(partition), int(offset), int(line), int(n)


class Event(BaseModel):
    model_config = ConfigDict(extra="forbid")

    source: Annotated[str, AfterValidator(_source)]


class MarketEvent(Event):
    exchange: str
    symbol: str
    timestamp: Annotated[Micros, Field(description="exchange time; receipt time where the exchange sends none")]
    local_timestamp: Annotated[Micros, Field(description="receipt by ingest")]


class Trade(MarketEvent):
    """`market.trades`. `kind` is `normal`, or what the exchange marks it as (`insurance_fund`, `adl`, `liquidation`).

    `exchange_amount` is in the exchange's own unit (contracts, USD), equal to `amount` where that is base units.
    """

    id: str
    price: PlainDecimal
    amount: PlainDecimal
    side: Literal["buy", "sell"]
    kind: str
    exchange_amount: PlainDecimal


class Book(MarketEvent):
    """`market.books`. `snapshot`: the whole book. `update`: absolute amounts of changed levels, 0 deletes.

    `sequence` is the exchange's id of the last change contained, `previous` that of the event before
    (equal to its `sequence` within a live book).
    """

    type: Literal["snapshot", "update"]
    sequence: int
    previous: int
    bids: list[Level]
    asks: list[Level]


class Quote(MarketEvent):
    """`market.quotes`. `origin` `bbo`: the exchange's own channel; `book`: the rebuilt book.

    Levels best first, the first the best; more than one only where the book is live. A side may be empty.
    """

    origin: Literal["bbo", "book"]
    sequence: int
    bids: list[Level]
    asks: list[Level]


class Gap(MarketEvent):
    """`market.gaps`. `opened` when something was missed, `closed` when it is healed.

    That is when the book is live again, when trades come again after an outage, or when the last missing one has come.
    `id` ties the two. `channel`: what has the hole. `cause`: `sequence` (ids did not follow), `disconnected`, `absent`
    (nobody ingested the feed), `lost` (ingest had to drop frames), `skipped` (a record that could not be processed),
    `restarted` (the exchange's ids began anew), `checksum`, `crossed` (the book contradicted itself), `quality` (the
    exchange's BBO contradicted it), `depth` (the price left the levels that the snapshot knew), `changed` (the size of
    its contracts changed).
    `since`: receipt of the last frame before the hole, µs. `first_missing`/`last_missing`: ids of the first and last
    missing trade (Deribit: their `trade_seq`), empty where unknown. `expected`/`received`: ids at a sequence gap of a
    book, else 0. `duration`: microseconds from `since`, at `closed`.
    """

    type: Literal["opened", "closed"]
    id: str
    cause: str
    channel: Literal["books", "trades"]
    since: Micros
    first_missing: str
    last_missing: str
    expected: int
    received: int
    duration: int


class Quality(MarketEvent):
    """`market.quality`. The exchange's BBO against the rebuilt book's top at the same update id.

    `report`: counts since the last report. `difference`: one disagreement, both values (`bbo`, `book`:
    `[bid price, bid amount, ask price, ask amount]`).
    """

    type: Literal["report", "difference"]
    compared: int
    agreed: int
    differed: int
    sequence: int
    bbo: list[str]
    book: list[str]


StatusType = Literal[
    "connected", "disconnected", "subscribed", "refused", "renewing", "renewed", "silent", "resumed",
    "absent", "returned", "wrong_clock", "clock_right", "clock_stepped", "rate_limited", "notice", "listed",
    "changed", "delisted", "skipped", "not_tradable", "limited", "implausible", "report",
]  # fmt: skip
STATUS_TYPES: frozenset[str] = frozenset(get_args(StatusType))


class Status(MarketEvent):
    """`market.status`. The watch over an instrument's feed; `channels`: those that it is about, none: the connection.

    `connected`, `disconnected`, `subscribed`, `refused`, `notice` (the exchange announces something), `rate_limited`;
    `renewing` and `renewed`: the connection is changed for another without a break; `silent` (`age`: for how long;
    `reason`: what is done about it: `resubscribe`, `reconnect`) and `resumed`; `wrong_clock`, `clock_right`: the
    exchange's times; `absent`, `returned`: nobody ingests the feed (`age`: for how long), and somebody does again;
    `clock_stepped`: our own clock was set back; `listed`, `changed`, `delisted`: its definition; `not_tradable`: its
    book is crossed, as before an opening; `limited`: a size bound was reached; `skipped`: a record that could not be
    processed was set aside; `implausible`: its price and another exchange's are too far apart to be of the same coin,
    so that they are not paired (`reason`: both); `report`, every 10 s and channel: `messages` since the last one,
    `age` of the last message.
    Times in µs: `latency_*` from exchange time to receipt by the exchange's clock (0: it sends no times);
    `clock_offset`: its clock minus ours, `round_trip` of asking for it. `reconnects`, `renewals`: since the start.
    """

    type: StatusType
    channels: list[str]
    reason: str
    messages: int
    repeated: int
    age: int
    latency_median: int
    latency_max: int
    clock_offset: int
    round_trip: int
    reconnects: int
    renewals: int


class SignalSide(BaseModel):
    """One side of a signal: the quote it rests on. `age`: microseconds at the event's `local_timestamp`."""

    model_config = ConfigDict(extra="forbid")

    exchange: str
    source: Annotated[str, AfterValidator(_source)]
    origin: Literal["bbo", "book"]
    sequence: int
    book: Literal["waiting", "live", "stale"]
    price: PlainDecimal
    average_price: Annotated[PlainDecimal, Field(description="of the executable amount")]
    timestamp: Micros
    local_timestamp: Micros
    age: int
    fee_bps: float


class Signal(Event):
    """`signals.arbitrage`: buy on one exchange, sell on another, of one symbol.

    `id` derives from the opening. `amount` (base) is what both sides' levels hold while the marginal trade pays
    after both fees; `profit` (quote) is what that earns, net. `gross_bps`/`net_bps` compare the best prices.
    `spread_*`: rolling statistics of the pair's gross spread, bps. `lifetime`: microseconds since `opened_at`.
    """

    id: str
    symbol: str
    type: Literal["opened", "updated", "closed"]
    reason: Literal["", "spread_gone", "quote_too_old", "book_not_live", "implausible"]
    timestamp: Micros
    local_timestamp: Micros
    opened_at: Micros
    lifetime: int
    buy: SignalSide
    sell: SignalSide
    gross_bps: float
    net_bps: float
    amount: PlainDecimal
    profit: PlainDecimal
    peak_net_bps: float
    peak_amount: PlainDecimal
    peak_profit: PlainDecimal
    spread_mean_bps: float
    spread_stdev_bps: float
    spread_zscore: float
    spread_count: int


class DeadLetter(Event):
    """`dead_letters`. `frame` is the raw text, or base64 where `encoding` says so; at most 256 KiB of it."""

    exchange: str
    symbol: str
    local_timestamp: Micros
    topic: str
    reason: str
    encoding: Literal["text", "base64"]
    frame: str
    frame_bytes: int


EVENTS: dict[str, type[Event]] = {
    "market.trades": Trade,
    "market.books": Book,
    "market.quotes": Quote,
    "market.gaps": Gap,
    "market.quality": Quality,
    "market.status": Status,
    "signals.arbitrage": Signal,
    "dead_letters": DeadLetter,
}


def json_schemas() -> dict[str, dict[str, Any]]:
    """JSON Schema of each stored topic's events, by topic name."""
    return {topic: model.model_json_schema() for topic, model in EVENTS.items()}
