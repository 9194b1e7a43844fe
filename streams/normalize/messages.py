"""Messages that normalizers return: an exchange's message in canonical terms, but not yet an event of a topic.

They are msgspec structs: some are created for every frame, and a named tuple takes several times as long.
"""

from typing import Any, Literal

from msgspec import Struct

from streams.levels import Levels

MODEST_PRICE, MODEST_AMOUNT = 1e-7, 1e10


class CheckedLevels(Struct, frozen=True, gc=False, eq=False):
    """Checked side of a book message (`book_sides.levels`), with (price, amount) of each level also as floats.

    Levels are in the exchange's order: best first in snapshots. `modest`: decoding has found that no price is below
    `MODEST_PRICE` and no amount above `MODEST_AMOUNT`.
    """

    levels: Levels
    numbers: list[tuple[float, float]]
    modest: bool = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CheckedLevels) and (self.levels, self.numbers) == (other.levels, other.numbers)


NO_LEVELS = CheckedLevels([], [], modest=True)


class Trade(Struct, frozen=True, gc=False):
    """Trade; `timestamp` in µs, `amount` in base units, `side` of the taker.

    `exchange_amount`: the amount in the exchange's own unit, if that is not base units (contracts, USD). `first` and
    `last`: its number, if an instrument's trades are numbered consecutively, else -1. They differ if fills were merged
    into one trade; `first` alone is -1 if it is not known how many.
    """

    timestamp: int
    id: str
    price: str
    amount: str
    side: str
    kind: str = "normal"
    exchange_amount: str = ""
    first: int = -1
    last: int = -1


class UsedUp(Struct, frozen=True, gc=False):
    """Number in the sequence of trades that no trade will have."""

    number: int


class BookMessage(Struct, frozen=True, gc=False):
    """Book message. Amounts are in the exchange's own units (`normalize.amounts` converts them at publication).

    `kind`: `update`; `snapshot`, sent in the stream itself, so that the next update follows it; `seed`, a snapshot
    fetched separately, to be aligned with the stream by its ids. `first`/`last`: the change ids contained. `previous`:
    the id that this message says it follows, -1 if it names none. `checksum`: 0 if there is none.
    """

    kind: Literal["update", "snapshot", "seed"]
    timestamp: int
    first: int
    last: int
    previous: int
    bids: CheckedLevels
    asks: CheckedLevels
    checksum: int = 0


class Quote(Struct, frozen=True, gc=False):
    """Best bid and offer as the exchange sends it; a side without orders is empty. Amounts as in `BookMessage`.

    `bid` and `ask`: the prices, 0 for an empty side.
    """

    timestamp: int
    sequence: int
    bids: Levels
    asks: Levels
    bid: float
    ask: float


class RestQuote(Quote, frozen=True, gc=False):
    """Best levels of a book as the exchange answers by REST, best first, while no socket brings the book."""


class Reading(Struct, frozen=True, gc=False):
    """Values of a kind whose events are a state. `fields`: those that this message has, as the event model names them.

    `channel`: ours, on which it arrived; empty if it was polled. `timestamp`: µs.
    """

    topic: str
    channel: str
    timestamp: int
    fields: dict[str, Any]


class SeriesRow(Struct, frozen=True, gc=False):
    """Value of one period in a series that polls return, of which each period is published once.

    `series`: tells the series of a topic and an instrument apart. `timestamp`: the period's, µs. `fields`: all fields
    of the event, as its model names them.
    """

    topic: str
    series: str
    timestamp: int
    fields: dict[str, Any]


class Candle(Struct, frozen=True, gc=False):
    """Candle as of this message. Times in µs; volumes in base and quote units, None where they are not published.

    `closed`: None if the exchange does not mark the last update. `contract`: as in the event.
    """

    channel: str
    timestamp: int
    interval: str
    start: int
    end: int
    open: str
    high: str
    low: str
    close: str
    volume: str | None = None
    quote_volume: str | None = None
    trades: int | None = None
    taker_buy_volume: str | None = None
    taker_buy_quote_volume: str | None = None
    closed: bool | None = None
    contract: str = ""


class Liquidation(Struct, frozen=True, gc=False):
    """Forced order of a position; fields as in the event. `timestamp` in µs, `amount` in base units."""

    channel: str
    timestamp: int
    side: str
    price: str | None
    average_price: str | None
    amount: str
    sampled: bool


class Ignored(Struct, frozen=True, gc=False):
    """Message that is recognised but holds no event: a control frame or an unsupported channel."""

    channel: str


class Rejected(Struct, frozen=True, gc=False):
    """Malformed row among good rows of a frame: the reason and its bytes. It becomes a dead letter."""

    reason: str
    row: bytes


Normalized = (
    Trade | UsedUp | BookMessage | Quote | RestQuote | Reading | SeriesRow | Candle | Liquidation | Ignored | Rejected
)  # fmt: skip
