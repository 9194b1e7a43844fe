"""Exact sums over the trades of a stretch of time.

Numbers are integers here: prices and amounts in units of 1e-18, the finest that a column holds, and values, which are
their products, in units of 1e-36. Integers are added exactly without a context, and in a fraction of a decimal's time.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from streams.decimals import DECIMALS, INTEGERS
from streams.normalize.messages import Trade

_UNITS: int = 10**DECIMALS
_LIMIT = 10 ** (INTEGERS + DECIMALS)
_DIGITS = 18  # of a number that fits into 64 bits

Place = tuple[int, int]  # exchange time in µs and number of a trade: its place in the order of execution


@lru_cache(maxsize=8_192)  # prices and amounts recur
def units_of(text: str) -> int:
    """Return a plain decimal in units of 1e-18."""
    whole, _, behind = text.partition(".")
    return int(whole + behind.ljust(DECIMALS, "0"))


class Bucket:
    """Prices and sums of trades. `first` and `last`: the places of those that opened and closed it.

    Volumes are in base units, values in quote units, both by the taker's side.
    """

    __slots__ = (
        "bought", "bought_value", "close", "first", "high", "last", "low", "open", "sold", "sold_value", "trades",
    )  # fmt: skip

    def __init__(self, price: int, place: Place = (0, 0)) -> None:
        """Make a bucket without trades at a price: that of the first trade, whose place is given, or a carried one."""
        self.trades = 0
        self.first = self.last = place
        self.open = self.high = self.low = self.close = price
        self.bought = self.bought_value = self.sold = self.sold_value = 0

    def add(self, trade: Trade, price: int, amount: int, value: int) -> None:
        """Add a trade."""
        self.trades += 1
        if trade.side == "buy":
            self.bought += amount
            self.bought_value += value
        else:
            self.sold += amount
            self.sold_value += value
        if price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        place = (trade.timestamp, trade.last) if trade.last >= 0 else place_of(trade)
        if place >= self.last:  # at equal places the last to arrive closes
            self.last, self.close = place, price
        elif place < self.first:
            self.first, self.open = place, price

    def merge(self, other: "Bucket") -> None:
        """Add the trades of another bucket. Both have some."""
        if other.first < self.first:
            self.first, self.open = other.first, other.open
        if other.last >= self.last:
            self.last, self.close = other.last, other.close
        if other.high > self.high:
            self.high = other.high
        if other.low < self.low:
            self.low = other.low
        self.trades += other.trades
        self.bought += other.bought
        self.bought_value += other.bought_value
        self.sold += other.sold
        self.sold_value += other.sold_value

    def copy(self) -> "Bucket":
        """Return a copy."""
        copy = Bucket.__new__(Bucket)
        copy.trades, copy.first, copy.last = self.trades, self.first, self.last
        copy.open, copy.high, copy.low, copy.close = self.open, self.high, self.low, self.close
        copy.bought, copy.bought_value = self.bought, self.bought_value
        copy.sold, copy.sold_value = self.sold, self.sold_value
        return copy

    def doubled(self) -> "Bucket":
        """Return a copy with twice the volumes."""
        copy = self.copy()
        copy.merge(self)
        copy.trades = self.trades
        return copy

    def fields(self) -> dict[str, Any]:
        """Return the figures as the event names them. A sum that fits no column is null."""
        return {
            "open": text_of(self.open),
            "high": text_of(self.high),
            "low": text_of(self.low),
            "close": text_of(self.close),
            "volume": text_of(self.bought + self.sold),
            "quote_volume": text_of(_rounded(self.bought_value + self.sold_value)),
            "trades": self.trades,
            "taker_buy_volume": text_of(self.bought),
            "taker_buy_quote_volume": text_of(_rounded(self.bought_value)),
        }

    def dump(self) -> list[Any]:
        """Return the state for a checkpoint. JSON's numbers are too small for sums."""
        prices = (self.open, self.high, self.low, self.close)
        sums = (self.bought, self.bought_value, self.sold, self.sold_value)
        return [self.trades, self.first, self.last, *map(str, prices), *map(str, sums)]

    @classmethod
    def load(cls, dump: list[Any]) -> "Bucket":
        """Return the bucket of a checkpoint."""
        trades, first, last, *texts = dump
        bucket = cls(0)
        bucket.trades, bucket.first, bucket.last = trades, (first[0], first[1]), (last[0], last[1])
        numbers = map(int, texts)
        bucket.open, bucket.high, bucket.low, bucket.close = (next(numbers) for _ in range(4))
        bucket.bought, bucket.bought_value, bucket.sold, bucket.sold_value = numbers
        return bucket


def merged(buckets: Iterable[Bucket]) -> Bucket | None:
    """Return the sum of buckets; None if there are none, or none with trades."""
    total: Bucket | None = None
    for bucket in buckets:
        if not bucket.trades:
            continue
        if total is None:
            total = bucket.copy()
        else:
            total.merge(bucket)
    return total


def place_of(trade: Trade) -> Place:
    """Return a trade's place. Where its id is no number, the order of arrival counts."""
    if trade.last >= 0:
        return trade.timestamp, trade.last
    unique = trade.id  # HTX's only grow
    is_number = len(unique) <= _DIGITS and unique.isascii() and unique.isdecimal()
    return trade.timestamp, int(unique) if is_number else -1


@lru_cache(maxsize=8_192)  # the candles of all intervals have prices in common
def text_of(value: int) -> str | None:
    """Return a number of units as plain decimal without needless zeros; None if it fits no column."""
    if value >= _LIMIT:
        return None
    digits = str(value).rjust(DECIMALS + 1, "0")
    behind = digits[-DECIMALS:].rstrip("0")
    return f"{digits[:-DECIMALS]}.{behind}" if behind else digits[:-DECIMALS]


def _rounded(value: int) -> int:
    """Return a number in units of 1e-36 in units of 1e-18, rounded half to even like all that is published."""
    whole, rest = divmod(value, _UNITS)
    is_up = 2 * rest > _UNITS or (2 * rest == _UNITS and whole % 2 == 1)
    return whole + 1 if is_up else whole
