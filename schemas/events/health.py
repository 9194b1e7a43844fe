"""What is known about the data: gaps, comparisons, feed health, and what could not be processed."""

from typing import Annotated, Literal, get_args

from pydantic import Field

from schemas.events.base import Event, MarketEvent
from schemas.fields import DecimalOrEmpty, Label, Micros


class Gap(MarketEvent):
    """Missing data: `opened` when something was missed, `closed` when that is over, `filled` after the past was asked.

    A gap closes when the book is live again, when trades arrive again after an outage, or when the last missing trade
    has arrived. It is filled when the tables hold what the exchange offers of the missing trades. `cause`: `sequence`
    (ids did not follow), `disconnected`, `absent` (nobody ingested the feed), `stopped` (ingest was stopped; the gap
    opens when it runs again), `lost` (ingest had to drop frames), `skipped` (a record that could not be processed),
    `restarted` (the exchange's ids started over), `checksum`, `crossed` (the book contradicted itself), `quality` (the
    exchange's BBO contradicted it), `depth` (the price left the levels that the snapshot held), `changed` (its contract
    size changed).
    """

    topic_name = "market.gaps"
    table_name = "gaps"
    meaning = "missing books and trades: opened with the cause, closed with the duration, filled from the past"

    type: Annotated[Literal["opened", "closed", "filled"], Field(description="opened, closed or filled")]
    id: Annotated[str, Field(description="the same in opened, closed and filled")]
    cause: Annotated[Label, Field(description="why data is missing: sequence, disconnected, absent, lost, …")]
    channel: Annotated[Literal["books", "trades"], Field(description="the channel with the gap")]
    since: Annotated[Micros, Field(description="receipt of the last frame before the gap")]
    first_missing: Annotated[
        str, Field(description="id of the first missing trade (Deribit: its trade_seq); empty: unknown")
    ]
    last_missing: Annotated[str, Field(description="id of the last missing trade; empty: unknown")]
    expected: Annotated[int, Field(description="id expected at a sequence gap of a book, else 0")]
    received: Annotated[int, Field(description="id received at a sequence gap of a book, else 0")]
    duration: Annotated[int, Field(description="microseconds since `since`, at closed and filled")]


class Quality(MarketEvent):
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

    topic_name = "market.quality"
    table_name = "quality"
    meaning = "rebuilt books and candles of trades against the exchange's own BBO and candles"

    type: Annotated[
        Literal["report", "difference"], Field(description="report: counts since the last; difference: a disagreement")
    ]
    # Events of earlier versions lack the fields with defaults.
    check: Annotated[
        Literal["book", "candle"], Field(description="book: the top at an update id; candle: a closed candle")
    ] = "book"
    compared: Annotated[int, Field(description="pairs of tops or candles, in a report since the last")]
    agreed: Annotated[int, Field(description="of those compared")]
    differed: Annotated[int, Field(description="of those compared")]
    sequence: Annotated[
        int, Field(description="update id at which both were compared; of a report the book's; 0: candles")
    ]
    bbo: Annotated[
        list[DecimalOrEmpty],
        Field(description="bid price, bid amount, ask price, ask amount; NULL: empty side"),
    ]
    book: Annotated[
        list[DecimalOrEmpty],
        Field(description="the same of the rebuilt book"),
    ]
    interval: Annotated[Label, Field(description="of the candles: 1m, 1h, …; empty: books")] = ""
    start: Annotated[Micros | None, Field(description="of the candle that differs; null: books and reports")] = None
    late: Annotated[int, Field(description="trades since the last report that came after their candle was closed")] = 0
    cause: Annotated[
        Label,
        Field(description="of a candle's difference: gap, late, not_on_book, aggregated, both_sides; empty: unknown"),
    ] = ""
    fields: Annotated[list[Label], Field(description="columns of the candle that differ")] = Field([])
    theirs: Annotated[list[DecimalOrEmpty], Field(description="values of `fields` in the exchange's candle")] = Field(
        []
    )
    ours: Annotated[list[DecimalOrEmpty], Field(description="the same in the candle of trades; NULL: no trades")] = (
        Field([])
    )


StatusType = Literal[
    "connected", "disconnected", "stopped", "subscribed", "refused", "renewing", "renewed", "silent", "resumed",
    "absent", "returned", "wrong_clock", "clock_right", "clock_stepped", "rate_limited", "rest_down", "rest_up",
    "rest_fallback", "rest_fallback_ended", "host_changed", "notice", "listed", "changed", "delisted", "skipped",
    "not_tradable", "limited", "implausible", "report",
]  # fmt: skip
STATUS_TYPES: frozenset[str] = frozenset(get_args(StatusType))


class Status(MarketEvent):
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

    topic_name = "market.status"
    table_name = "status"
    meaning = "feed health: connections, subscriptions, silent channels, data age, latency, clocks"

    type: Annotated[StatusType, Field(description="connected, disconnected, …; report: one channel, every 10 s")]
    channels: Annotated[list[Label], Field(description="affected channels; empty: the whole connection")]
    reason: Annotated[str, Field(description="what happened or is done about it; empty: nothing to add")]
    messages: Annotated[int, Field(description="since the last report")]
    repeated: Annotated[int, Field(description="duplicates among them, which were dropped")]
    age: Annotated[int, Field(description="microseconds since the last message; of silent and resumed: the silence")]
    latency_median: Annotated[
        int, Field(description="microseconds from exchange time to receipt, by the exchange's clock; 0: no times")
    ]
    latency_max: Annotated[int, Field(description="microseconds from exchange time to receipt, the longest")]
    clock_offset: Annotated[int, Field(description="microseconds, the exchange's clock minus ours")]
    round_trip: Annotated[int, Field(description="microseconds, of the request for the exchange's clock")]
    reconnects: Annotated[int, Field(description="after a loss, since the start")]
    renewals: Annotated[int, Field(description="without a break, since the start")]


class DeadLetter(Event):
    """Bytes that could not be processed or stored, and why. At most 256 KiB of them, of a poison record 3 MiB."""

    topic_name = "dead_letters"
    table_name = "dead_letters"
    meaning = "unparseable frames, rejected rows, poison records: the reason and the bytes"

    exchange: Annotated[Label, Field(description="binance, okx, htx or deribit; `?` if unknown")]
    symbol: Annotated[Label, Field(description="our name of the instrument; `?` if unknown")]
    local_timestamp: Annotated[Micros, Field(description="receipt by ingest; of a rejected row, when it was published")]
    topic: Annotated[Label, Field(description="where it came from, without the prefix")]
    reason: Annotated[str, Field(description="why it could not be processed or stored")]
    encoding: Annotated[Literal["text", "base64"], Field(description="of `frame`")]
    frame: Annotated[str, Field(description="the bytes, as text or base64")]
    frame_bytes: Annotated[int, Field(description="of the whole frame; `frame` may be cut", ge=0)]
