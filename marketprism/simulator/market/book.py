"""The true L2 book of a simulated instrument: prices in ticks, amounts in lots, a new update id for every change."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Levels = list[tuple[int, int]]

_RESTART_ID = 1  # the id before the first one after a restart


class Side:
    """One side of a book. `sign` is 1 for bids and -1 for asks."""

    __slots__ = ("_keys", "amounts", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.amounts: dict[int, int] = {}
        self._keys: list[int] = []  # prices times `sign`, best last

    def __len__(self) -> int:
        return len(self._keys)

    def at(self, rank: int) -> int:
        """Return the price at a rank; 0 is the best, -1 the worst."""
        return self.sign * self._keys[~rank]

    def top(self, count: int) -> Levels:
        """Return the best levels, best first."""
        return [(self.sign * key, self.amounts[self.sign * key]) for key in self._keys[: -count - 1 : -1]]

    def better(self, price: int) -> list[int]:
        """Return the prices better than this one, best first."""
        first = bisect_left(self._keys, self.sign * price + 1)
        return [self.sign * key for key in self._keys[: first - 1 if first else None : -1]]

    def set(self, price: int, amount: int) -> bool:
        """Set a level, or delete it with amount 0; return whether it was or is the best level."""
        key = self.sign * price
        at_top = not self._keys or key >= self._keys[-1]
        if amount and price not in self.amounts:
            insort(self._keys, key)
        if amount:
            self.amounts[price] = amount
        elif self.amounts.pop(price, None) is not None:
            del self._keys[bisect_left(self._keys, key)]
        return at_top


@dataclass(slots=True)
class Window:
    """The changes since the last flush: changed prices, first and last id, and the last id of the flush before.

    A depth stream of one speed has one window, which is flushed at that speed.
    """

    previous: int
    first: int = 0
    last: int = 0
    bids: set[int] = field(default_factory=set)
    asks: set[int] = field(default_factory=set)

    def reset(self) -> None:
        """Start a new window after a flush."""
        if self.last:
            self.previous = self.last
        self.first = self.last = 0
        self.bids.clear()
        self.asks.clear()


class TrueBook:
    """A book. `sequence`: id of the last change; `top_sequence`: id of the last change of a best level."""

    def __init__(self, sequence: int, id_step: Callable[[], int]) -> None:
        """`id_step` returns by how much the next change raises `sequence`."""
        self.bids = Side(1)
        self.asks = Side(-1)
        self.sequence = sequence
        self.top_sequence = sequence
        self.windows: list[Window] = []
        self._id_step = id_step

    def set(self, side: Side, price: int, amount: int) -> None:
        """Set one level to an absolute amount; 0 deletes it."""
        self.raise_sequence()
        if side.set(price, amount):
            self.top_sequence = self.sequence
        for window in self.windows:
            (window.bids if side is self.bids else window.asks).add(price)

    def raise_sequence(self) -> None:
        """Raise the id, without a change of levels."""
        self.sequence += self._id_step()
        for window in self.windows:
            window.first = window.first or self.sequence
            window.last = self.sequence

    def window(self) -> Window:
        """Return a new window, which collects the changes from now on."""
        self.windows.append(Window(self.sequence))
        return self.windows[-1]

    def restart(self, chained: bool) -> None:
        """Restart the ids; the next flush of each window shows it. `chained`: as an update that follows the last id."""
        self.sequence = self.top_sequence = _RESTART_ID + 1
        for window in self.windows:
            window.previous = window.previous if chained else _RESTART_ID
            window.first = window.last = self.sequence

    def changes(self, window: Window) -> tuple[Levels, Levels]:
        """Return a window's changed bids and asks with their current amounts, best first; 0: deleted."""
        bids, asks = self.bids.amounts, self.asks.amounts
        return (
            [(price, bids.get(price, 0)) for price in sorted(window.bids, reverse=True)],
            [(price, asks.get(price, 0)) for price in sorted(window.asks)],
        )

    def sides(self) -> Iterator[Side]:
        """Yield bids, then asks."""
        yield self.bids
        yield self.asks
