"""The true L2 book of a simulated instrument: prices in ticks, amounts in lots, one id for each changed level."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Levels = list[tuple[int, int]]

_RESTARTED = 1  # the id that a restart begins with


class Side:
    """One side, best level last; `sign` is 1 for bids and -1 for asks."""

    __slots__ = ("_keys", "amounts", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.amounts: dict[int, int] = {}
        self._keys: list[int] = []

    def __len__(self) -> int:
        return len(self._keys)

    def at(self, rank: int) -> int:
        """The price at a rank: 0 the best, -1 the worst."""
        return self.sign * self._keys[~rank]

    def top(self, count: int) -> Levels:
        """The best levels, best first."""
        return [(self.sign * key, self.amounts[self.sign * key]) for key in self._keys[: -count - 1 : -1]]

    def better(self, price: int) -> list[int]:
        """The prices that are better than this one, best first."""
        first = bisect_left(self._keys, self.sign * price + 1)
        return [self.sign * key for key in self._keys[: first - 1 if first else None : -1]]

    def set(self, price: int, amount: int) -> bool:
        """Set or, with 0, delete a level; whether the best level is another one than before."""
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
    """What changed since the last flush: the prices touched, the first and last id, and the last id before.

    A depth stream of one speed is one window, flushed at that speed.
    """

    previous: int
    first: int = 0
    last: int = 0
    bids: set[int] = field(default_factory=set)
    asks: set[int] = field(default_factory=set)

    def restart(self) -> None:
        if self.last:
            self.previous = self.last
        self.first = self.last = 0
        self.bids.clear()
        self.asks.clear()


class TrueBook:
    """Both sides. `sequence`: id of the last change; `top_sequence`: of the last that changed a best level."""

    def __init__(self, sequence: int, stride: Callable[[], int]) -> None:
        self.bids = Side(1)
        self.asks = Side(-1)
        self.sequence = sequence
        self.top_sequence = sequence
        self.windows: list[Window] = []
        self._stride = stride

    def set(self, side: Side, price: int, amount: int) -> None:
        """Change one level: absolute amount, 0 deletes."""
        self.touch()
        if side.set(price, amount):
            self.top_sequence = self.sequence
        for window in self.windows:
            (window.bids if side is self.bids else window.asks).add(price)

    def touch(self) -> None:
        """A new id although nothing changed."""
        self.sequence += self._stride()
        for window in self.windows:
            window.first = window.first or self.sequence
            window.last = self.sequence

    def window(self) -> Window:
        """A new window on the changes from here on."""
        self.windows.append(Window(self.sequence))
        return self.windows[-1]

    def restart(self, chained: bool) -> None:
        """Let the ids start over. Each window flushes the reset, as an update that follows the last id, if chained."""
        self.sequence = self.top_sequence = _RESTARTED + 1
        for window in self.windows:
            window.previous = window.previous if chained else _RESTARTED
            window.first = window.last = self.sequence

    def changes(self, window: Window) -> tuple[Levels, Levels]:
        """A window's changed levels as they are now, bids and asks, best first; 0: gone."""
        bids, asks = self.bids.amounts, self.asks.amounts
        return (
            [(price, bids.get(price, 0)) for price in sorted(window.bids, reverse=True)],
            [(price, asks.get(price, 0)) for price in sorted(window.asks)],
        )

    def sides(self) -> Iterator[Side]:
        yield self.bids
        yield self.asks
