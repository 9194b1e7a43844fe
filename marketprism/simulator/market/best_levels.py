"""What streams show that have the best levels of a book only: the difference of two such views."""

from typing import NamedTuple

from marketprism.simulator.market.book import Levels, Side, TrueBook


class Change(NamedTuple):
    """From the id `previous` to the id `last`; levels that left the view have the amount 0."""

    previous: int
    last: int
    bids: Levels
    asks: Levels


class BestLevels:
    """The best `count` levels a side as they were at the last flush."""

    def __init__(self, book: TrueBook, count: int) -> None:
        self.count = count
        self.book = book
        self.window = book.window()
        self.sequence = book.sequence
        self.bids, self.asks = (dict(side.top(count)) for side in book.sides())

    def flush(self) -> Change:
        """What has changed in the view since the last flush."""
        previous, self.sequence = self.window.previous, self.window.last or self.window.previous
        bids, asks = (dict(side.top(self.count)) for side in self.book.sides())
        change = Change(previous, self.sequence, _difference(self.bids, bids), _difference(self.asks, asks))
        self.bids, self.asks = bids, asks
        self.window.restart()
        return change

    def touched(self) -> bool:
        """Whether a level in the view, or one that came into it, has changed."""
        book, window = self.book, self.window
        return _shown(book.bids, window.bids, self.count) or _shown(book.asks, window.asks, self.count)


def _shown(side: Side, prices: set[int], count: int) -> bool:
    worst = side.at(-1) if len(side) < count else side.at(count - 1)
    return any(side.sign * price >= side.sign * worst for price in prices)


def _difference(old: dict[int, int], new: dict[int, int]) -> Levels:
    gone = [(price, 0) for price in old if price not in new]
    return gone + [(price, amount) for price, amount in new.items() if old.get(price) != amount]
