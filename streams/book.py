"""An L2 order book: price levels of two sides.

Levels are the exchange's own lists (`[price, amount, …]`, strings as received) under a float of the price, which only
orders and identifies them (two decimal strings of up to 15 digits never share a float).
"""

from bisect import bisect_left
from heapq import nlargest
from math import inf
from zlib import crc32

from streams.normalize.events import CheckedLevels, Levels

_KEPT, _MOST = 32, 96  # keys in order: after they have been chosen or cut, and until they are cut


class Side:
    """One side; `sign` is 1 for bids and -1 for asks. Keys are prices times `sign`: the best is the highest.

    Only the best levels' keys stand in order (`near`, best last): nearly all that is asked of a book is its top, while
    most of what changes lies further away, and keeping all keys in order costs more than the rest of an update.
    """

    __slots__ = ("_top", "floor", "levels", "near", "sign")

    def __init__(self, sign: float) -> None:
        self.sign = sign
        self.levels: dict[float, list[str]] = {}
        self.near: list[float] = []
        self.floor = -inf  # of the keys from here on all stand in `near`
        self._top: Levels | None = None  # as it was asked for last, until something changes: BBOs ask again and again

    def replace(self, side: CheckedLevels) -> None:
        self._top = None
        sign = self.sign
        entries = zip(side.numbers, side.levels, strict=True)
        self.levels = {sign * price: level for (price, amount), level in entries if amount}
        self._choose(_KEPT)

    def update(self, side: CheckedLevels) -> None:
        """Absolute amounts: zero deletes; deleting a level that is not held is normal (every exchange says so)."""
        self._top = None
        sign, levels, near, floor = self.sign, self.levels, self.near, self.floor
        for (price, amount), level in zip(side.numbers, side.levels, strict=True):
            key = sign * price
            if amount:
                levels[key] = level
            else:
                levels.pop(key, None)
            if key >= floor:
                place = bisect_left(near, key)
                if place == len(near) or near[place] != key:
                    if amount:
                        near.insert(place, key)
                elif not amount:
                    del near[place]
        if len(near) > _MOST:
            del near[:-_KEPT]
            self.floor = near[0]
        elif not near and levels:
            self._choose(_KEPT)

    def _choose(self, count: int) -> None:
        self.near = sorted(nlargest(count, self.levels))
        self.floor = self.near[0] if len(self.near) < len(self.levels) else -inf

    def top(self, count: int) -> Levels:
        """The best levels, best first; not to be changed."""
        top = self._top
        if top is None or len(top) != min(count, len(self.levels)):
            if len(self.near) < count and len(self.near) < len(self.levels):
                self._choose(max(count, _KEPT))
            levels = self.levels
            top = self._top = [levels[key] for key in self.near[: -count - 1 : -1]]
        return top

    def all(self) -> Levels:
        """All levels, best first."""
        return [self.levels[key] for key in sorted(self.levels, reverse=True)]


class Book:
    """Both sides of one instrument."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = Side(1.0)
        self.asks = Side(-1.0)

    def replace(self, bids: CheckedLevels, asks: CheckedLevels) -> None:
        self.bids.replace(bids)
        self.asks.replace(asks)

    def update(self, bids: CheckedLevels, asks: CheckedLevels) -> None:
        self.bids.update(bids)
        self.asks.update(asks)

    def crossed(self) -> bool:
        """Whether the best bid is at or above the best ask."""
        bids, asks = self.bids.near, self.asks.near
        return bool(bids and asks) and bids[-1] >= -asks[-1]

    def checksum(self) -> int:
        """OKX's signed CRC32 of the best 25 levels, interleaved bid, ask, as `price:amount` (PROTOCOLS §3.5)."""
        bids, asks = self.bids.top(25), self.asks.top(25)
        parts = [f"{bid[0]}:{bid[1]}:{ask[0]}:{ask[1]}" for bid, ask in zip(bids, asks, strict=False)]
        parts += [f"{level[0]}:{level[1]}" for level in bids[len(asks) :] + asks[len(bids) :]]
        value = crc32(":".join(parts).encode())
        return value - (1 << 32) if value >= 1 << 31 else value
