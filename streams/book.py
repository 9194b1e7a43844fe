"""An L2 order book: price levels of two sides.

Levels are the exchange's own lists (`[price, amount, …]`, strings as received) under a float of the price, which only
orders and identifies them (two decimal strings of up to 15 digits never share a float). Each side's keys stand in a
sorted list with the best level last, where nearly all changes happen; asks are keyed by the negative price.
"""

from bisect import bisect_left, insort
from zlib import crc32

from streams.normalize.events import Levels


class Side:
    """One side; `sign` is 1 for bids and -1 for asks."""

    __slots__ = ("keys", "levels", "sign")

    def __init__(self, sign: float) -> None:
        self.sign = sign
        self.levels: dict[float, list[str]] = {}
        self.keys: list[float] = []

    def replace(self, side: Levels) -> None:
        sign = self.sign
        self.levels = {sign * float(level[0]): level for level in side if float(level[1])}
        self.keys = sorted(self.levels)

    def update(self, side: Levels) -> None:
        """Absolute amounts: zero deletes; deleting a level that is not held is normal (every exchange says so)."""
        sign, levels, keys = self.sign, self.levels, self.keys
        for level in side:
            key = sign * float(level[0])
            if float(level[1]):
                if key not in levels:
                    insort(keys, key)
                levels[key] = level
            elif levels.pop(key, None) is not None:
                del keys[bisect_left(keys, key)]

    def top(self, count: int) -> Levels:
        """The best levels, best first."""
        levels = self.levels
        return [levels[key] for key in self.keys[: -count - 1 : -1]]

    def all(self) -> Levels:
        return self.top(len(self.keys))


class Book:
    """Both sides of one instrument."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = Side(1.0)
        self.asks = Side(-1.0)

    def replace(self, bids: Levels, asks: Levels) -> None:
        self.bids.replace(bids)
        self.asks.replace(asks)

    def update(self, bids: Levels, asks: Levels) -> None:
        self.bids.update(bids)
        self.asks.update(asks)

    def crossed(self) -> bool:
        """Whether the best bid is at or above the best ask."""
        bids, asks = self.bids.keys, self.asks.keys
        return bool(bids and asks) and bids[-1] >= -asks[-1]

    def checksum(self) -> int:
        """OKX's signed CRC32 of the best 25 levels, interleaved bid, ask, as `price:amount` (PROTOCOLS §3.5)."""
        bids, asks = self.bids.top(25), self.asks.top(25)
        parts = [f"{side[rank][0]}:{side[rank][1]}" for rank in range(25) for side in (bids, asks) if rank < len(side)]
        value = crc32(":".join(parts).encode())
        return value - (1 << 32) if value >= 1 << 31 else value
