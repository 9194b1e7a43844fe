"""What normalizers return: the exchange's message in canonical terms, not yet an event of a topic.

Structs of msgspec: some of these are made for every frame, and a named tuple takes several times as long.
"""

from typing import Literal

from msgspec import Struct

from streams.levels import Levels

MODEST_PRICE, MODEST_AMOUNT = 1e-7, 1e10


class CheckedLevels(Struct, frozen=True, gc=False, eq=False):
    """A side of a book message, checked (`book_sides.levels`), with (price, amount) of each level as floats.

    In the exchange's order: best first in snapshots. `modest`: no price is below `MODEST_PRICE`, no amount above
    `MODEST_AMOUNT`, where decoding has found so.
    """

    levels: Levels
    numbers: list[tuple[float, float]]
    modest: bool = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CheckedLevels) and (self.levels, self.numbers) == (other.levels, other.numbers)


NO_LEVELS = CheckedLevels([], [], modest=True)


class Trade(Struct, frozen=True, gc=False):
    """`timestamp` µs; `amount` base units; `side` of the taker.

    `exchange_amount`: in the exchange's own unit, where that is not base units (contracts, USD). `first` and
    `last`: its number, where an instrument's are consecutive, else -1; they differ where fills were merged into one,
    and `first` alone is -1 where it is not known how many.
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
    """A trade's number that no trade will have."""

    number: int


class BookMessage(Struct, frozen=True, gc=False):
    """A book message. Amounts are the exchange's own units (`normalize.amounts` converts at publication).

    `kind`: `update`; `snapshot`, in the stream itself, so that what follows follows it; `seed`, a snapshot fetched
    aside, to be aligned with the stream by its ids. `first`/`last`: the change ids contained; `previous`: the id that
    this message says it follows, -1 if it does not. `checksum`: 0 where there is none.
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
    """The exchange's own best bid and offer; a side without orders is empty. Amounts as in `BookMessage`.

    `bid` and `ask`: the prices, 0 for an empty side.
    """

    timestamp: int
    sequence: int
    bids: Levels
    asks: Levels
    bid: float
    ask: float


class Ignored(Struct, frozen=True, gc=False):
    """A message that is recognised and carries no event: a control frame or an unsupported channel."""

    channel: str


class Rejected(Struct, frozen=True, gc=False):
    """A malformed row among the good ones of a frame: why, and its bytes. It becomes a dead letter."""

    reason: str
    row: bytes


Normalized = Trade | UsedUp | BookMessage | Quote | Ignored | Rejected
