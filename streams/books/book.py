"""Hold an L2 order book: the price levels of two sides.

Levels are the exchange's own text (`streams.levels`). Their key is the price as a float, which only orders and
identifies them (two decimal strings of up to 15 digits never share a float).
"""

from bisect import bisect_left
from collections.abc import Collection
from heapq import nlargest, nsmallest
from math import inf
from typing import Final
from zlib import crc32

from streams.levels import Level, Levels
from streams.normalize.messages import CheckedLevels

MAX_LEVELS: Final = 10_000  # per side; the worst beyond that are dropped, and count as unknown

_KEPT, _MOST = 32, 96  # sorted prices: how many are chosen, and up to how many that may grow
_COLONS = bytes.maketrans(b",", b":")


class Side:
    """One side of a book. Only the best levels' prices are sorted (`near`, ascending on both sides).

    Readers want little but the top, while most changes are further away, and keeping all prices sorted costs more than
    the rest of an update.

    If the side `is_cut`, `bound` is the worst price up to which every level is known. A snapshot that was cut off says
    nothing about the orders beyond it. Those that changed since are kept, but neither `top` nor `all` returns them.
    """

    __slots__ = ("_are_bids", "_edge", "_reach", "_tops", "bound", "is_cut", "levels", "near")

    def __init__(self, are_bids: bool) -> None:
        self.levels: dict[float, Level] = {}
        self.near: list[float] = []
        self.bound = -inf if are_bids else inf
        self.is_cut = False
        self._reach = 0.0  # from the best price to `bound`, when it was set
        self._are_bids = are_bids
        self._edge = -inf if are_bids else inf  # the bids above it are in `near`, the asks above it are not
        self._tops: dict[int, Levels] = {}  # by count, until something changes: every BBO needs it

    def replace(self, side: CheckedLevels, is_whole: bool = True) -> None:
        """Replace all levels. `is_whole`: the new ones were not cut off at the worst level."""
        self._tops.clear()
        entries = zip(side.numbers, side.levels, strict=True)
        self.levels = {price: level for (price, amount), level in entries if amount}
        self.uncut()
        if not is_whole and self.levels:
            bound, best = sorted((min(self.levels), max(self.levels)), reverse=not self._are_bids)
            self.cut(bound, abs(best - bound))
        self._limit()

    def cut(self, bound: float, reach: float) -> None:
        """Trust the levels only up to the price `bound`, which is `reach` away from the best."""
        self.bound, self._reach, self.is_cut = bound, reach, True
        self._tops.clear()

    def cut_at(self) -> tuple[float, float] | None:
        """Return the arguments of `cut`, or None for a whole side."""
        return (self.bound, self._reach) if self.is_cut else None

    def is_exhausted(self) -> bool:
        """Return whether the price has left the known levels: the best level here, if any, may not be the best."""
        if not self.is_cut or not self.near:
            return self.is_cut
        return self.near[-1] < self.bound if self._are_bids else self.near[0] > self.bound

    def is_near_bound(self) -> bool:
        """Return whether the price has used up over two thirds of the range that a cut snapshot covered."""
        if not self.is_cut or not self.near:
            return False
        best = self.near[-1] if self._are_bids else self.near[0]
        return abs(best - self.bound) < self._reach / 3

    def known_count(self) -> int:
        """Return the number of levels within `bound`."""
        bound = self.bound
        if not self.is_cut:
            return len(self.levels)
        return sum([price >= bound for price in self.levels] if self._are_bids else [p <= bound for p in self.levels])

    def uncut(self) -> None:
        """Treat the levels as the whole side."""
        self.bound, self.is_cut = -inf if self._are_bids else inf, False
        self._tops.clear()

    def update(self, side: CheckedLevels) -> None:
        """Set absolute amounts; zero deletes. Deleting an absent level is normal, as every exchange's docs say."""
        self._tops.clear()
        levels, near, edge, are_bids = self.levels, self.near, self._edge, self._are_bids
        for (price, amount), level in zip(side.numbers, side.levels):  # noqa: B905 - both were checked together
            if amount:
                if (price > edge) is are_bids and price not in levels:
                    near.insert(bisect_left(near, price), price)
                levels[price] = level
            elif levels.pop(price, None) is not None and (price > edge) is are_bids:
                del near[bisect_left(near, price)]
        if len(levels) > MAX_LEVELS:
            self._limit()
        elif len(near) > _MOST:
            self._keep(near[::-1] if are_bids else near, _KEPT)
        elif levels and not near:
            self._choose(_KEPT)

    def _limit(self) -> None:
        """Drop the worst tenth of a side that has grown too large."""
        if len(self.levels) > MAX_LEVELS:
            kept = sorted(self.levels, reverse=self._are_bids)[: MAX_LEVELS * 9 // 10]
            self.levels = {price: self.levels[price] for price in kept}
            if not self.is_cut or (kept[-1] > self.bound) is self._are_bids:
                self.cut(kept[-1], abs(kept[0] - kept[-1]))
        self._choose(_KEPT)

    def _choose(self, count: int) -> None:
        best = nlargest if self._are_bids else nsmallest
        self._keep(best(count + 1, self.levels), count)

    def _keep(self, best: list[float], count: int) -> None:
        """Keep the first `count` prices sorted. `best`: prices, best first; one beyond `count` shows there are more."""
        near, more = best[:count], best[count:]
        if self._are_bids:
            self.near, self._edge = near[::-1], more[0] if more else -inf
        else:
            self.near, self._edge = near, near[-1] if more else inf

    def top(self, count: int) -> Levels:
        """Return the best levels, best first. The caller must not change the list."""
        top = self._tops.get(count)
        if top is None:
            if len(self.near) < count and len(self.near) < len(self.levels):
                self._choose(max(count, _KEPT))
            levels, near = self.levels, self.near
            best = near[: -count - 1 : -1] if self._are_bids else near[:count]
            if self.is_cut and best and (best[-1] < self.bound) is self._are_bids:
                best = self._within(best)
            top = self._tops[count] = [levels[price] for price in best]
        return top

    def _within(self, prices: list[float]) -> list[float]:
        bound = self.bound
        if not self.is_cut:
            return prices
        return [price for price in prices if price >= bound] if self._are_bids else [p for p in prices if p <= bound]

    def behind(self, price: float, count: int) -> Levels:
        """Return the levels behind the best, up to `count` including it. None if the best price is not `price`."""
        near = self.near
        if not near or price != near[-1 if self._are_bids else 0]:
            return []
        return self.top(count)[1:]

    def all(self) -> Levels:
        """Return all known levels, best first."""
        return [self.levels[price] for price in self._within(sorted(self.levels, reverse=self._are_bids))]


class Book:
    """Both sides of one instrument's book."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = Side(are_bids=True)
        self.asks = Side(are_bids=False)

    def replace(self, bids: CheckedLevels, asks: CheckedLevels, cut_at: Collection[int] = ()) -> None:
        """Replace both sides. `cut_at`: the level counts at which the exchange cuts a side off."""
        self.bids.replace(bids, len(bids.levels) not in cut_at)
        self.asks.replace(asks, len(asks.levels) not in cut_at)

    def crossed(self) -> bool:
        """Return whether the best bid is at or above the best ask."""
        bids, asks = self.bids.near, self.asks.near
        return bool(bids and asks) and bids[-1] >= asks[0]

    def is_sound(self) -> bool:
        """Return whether both best prices are certain and do not cross. Cheap; False means: check closely."""
        bids, asks = self.bids, self.asks
        if not (bids.near and asks.near):
            return False
        bid, ask = bids.near[-1], asks.near[0]
        return bid < ask and bid >= bids.bound and ask <= asks.bound

    def is_exhausted(self) -> bool:
        """Return whether the price has left the known levels of a cut side: its best level may not be the best."""
        return self.bids.is_exhausted() or self.asks.is_exhausted()

    def checksum(self) -> int:
        """Return OKX's checksum: signed CRC32 of the best 25 levels, interleaved bid, ask, as `price:amount`.

        See docs/protocols/okx.md §3.5.
        """
        bids, asks = self.bids.top(25), self.asks.top(25)
        levels = [level for pair in zip(bids, asks, strict=False) for level in pair]
        levels += bids[len(asks) :] + asks[len(bids) :]
        value = crc32(b":".join(levels).translate(_COLONS, b'"'))
        return value - (1 << 32) if value >= 1 << 31 else value
