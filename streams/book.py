"""An L2 order book: price levels of two sides.

Levels are kept as the exchange's own text (`streams.levels`) under a float of the price, which only orders and
identifies them (two decimal strings of up to 15 digits never share a float).
"""

from bisect import bisect_left
from heapq import nlargest, nsmallest
from math import inf
from zlib import crc32

from streams.levels import Level, Levels
from streams.normalize.events import CheckedLevels

_KEPT, _MOST = 32, 96  # prices in order: after they have been chosen or cut, and until they are cut
_COLONS = bytes.maketrans(b",", b":")


class Side:
    """One side. Only the best levels' prices stand in order (`near`, ascending on both sides).

    Nearly all that is asked of a book is its top, while most of what changes lies further away, and keeping all prices
    in order costs more than the rest of an update.
    """

    __slots__ = ("_are_bids", "_edge", "_tops", "levels", "near")

    def __init__(self, are_bids: bool) -> None:
        self.levels: dict[float, Level] = {}
        self.near: list[float] = []
        self._are_bids = are_bids
        self._edge = -inf if are_bids else inf  # above it are the bids that stand in `near`, the asks that do not
        self._tops: dict[int, Levels] = {}  # by their count, until something changes: BBOs ask again and again

    def replace(self, side: CheckedLevels) -> None:
        self._tops.clear()
        entries = zip(side.numbers, side.levels, strict=True)
        self.levels = {price: level for (price, amount), level in entries if amount}
        self._choose(_KEPT)

    def update(self, side: CheckedLevels) -> None:
        """Absolute amounts: zero deletes; deleting a level that is not held is normal (every exchange says so)."""
        self._tops.clear()
        levels, near, edge, are_bids = self.levels, self.near, self._edge, self._are_bids
        for (price, amount), level in zip(side.numbers, side.levels, strict=True):
            if amount:
                if (price > edge) is are_bids and price not in levels:
                    near.insert(bisect_left(near, price), price)
                levels[price] = level
            elif price in levels:
                del levels[price]
                if (price > edge) is are_bids:
                    del near[bisect_left(near, price)]
        if len(near) > _MOST:
            self._keep(near[::-1] if are_bids else near, _KEPT)
        elif levels and not near:
            self._choose(_KEPT)

    def _choose(self, count: int) -> None:
        best = nlargest if self._are_bids else nsmallest
        self._keep(best(count + 1, self.levels), count)

    def _keep(self, best: list[float], count: int) -> None:
        """Of prices, best first, the first so many; the next tells that there are more."""
        near, more = best[:count], best[count:]
        if self._are_bids:
            self.near, self._edge = near[::-1], more[0] if more else -inf
        else:
            self.near, self._edge = near, near[-1] if more else inf

    def top(self, count: int) -> Levels:
        """The best levels, best first; not to be changed."""
        top = self._tops.get(count)
        if top is None:
            if len(self.near) < count and len(self.near) < len(self.levels):
                self._choose(max(count, _KEPT))
            levels, near = self.levels, self.near
            best = near[: -count - 1 : -1] if self._are_bids else near[:count]
            top = self._tops[count] = [levels[price] for price in best]
        return top

    def behind(self, price: float, count: int) -> Levels:
        """The levels behind the best, up to `count` with it; none if the best has another price."""
        near = self.near
        if not near or price != near[-1 if self._are_bids else 0]:
            return []
        return self.top(count)[1:]

    def all(self) -> Levels:
        """All levels, best first."""
        return [self.levels[price] for price in sorted(self.levels, reverse=self._are_bids)]


class Book:
    """Both sides of one instrument."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = Side(are_bids=True)
        self.asks = Side(are_bids=False)

    def replace(self, bids: CheckedLevels, asks: CheckedLevels) -> None:
        self.bids.replace(bids)
        self.asks.replace(asks)

    def update(self, bids: CheckedLevels, asks: CheckedLevels) -> None:
        self.bids.update(bids)
        self.asks.update(asks)

    def crossed(self) -> bool:
        """Whether the best bid is at or above the best ask."""
        bids, asks = self.bids.near, self.asks.near
        return bool(bids and asks) and bids[-1] >= asks[0]

    def checksum(self) -> int:
        """OKX's signed CRC32 of the best 25 levels, interleaved bid, ask, as `price:amount` (PROTOCOLS §3.5)."""
        bids, asks = self.bids.top(25), self.asks.top(25)
        levels = [level for pair in zip(bids, asks, strict=False) for level in pair]
        levels += bids[len(asks) :] + asks[len(bids) :]
        value = crc32(b":".join(levels).translate(_COLONS, b'"'))
        return value - (1 << 32) if value >= 1 << 31 else value
