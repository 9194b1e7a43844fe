"""The best levels of a book, and their changes, for streams that show a limited number of levels."""

from typing import NamedTuple

from marketprism.simulator.market.book import Levels, Side, TrueBook


class Change(NamedTuple):
    """Changed levels from the id `previous` to the id `last`; amount 0: no longer among the best."""

    previous: int
    last: int
    bids: Levels
    asks: Levels


class BestLevels:
    """The best `count` levels of each side as of the last flush."""

    def __init__(self, book: TrueBook, count: int) -> None:
        self.count = count
        self.book = book
        self.window = book.window()
        self.sequence = book.sequence
        self.bids, self.asks = (dict(side.top(count)) for side in book.sides())

    def flush(self) -> Change:
        """Return the changes since the last flush."""
        previous, self.sequence = self.window.previous, self.window.last or self.window.previous
        bids, asks = (dict(side.top(self.count)) for side in self.book.sides())
        change = Change(previous, self.sequence, _difference(self.bids, bids), _difference(self.asks, asks))
        self.bids, self.asks = bids, asks
        self.window.reset()
        return change

    def has_changed(self) -> bool:
        """Return whether a level has changed that is among the best now."""
        book, window = self.book, self.window
        return _any_among_best(book.bids, window.bids, self.count) or _any_among_best(
            book.asks, window.asks, self.count
        )


def _any_among_best(side: Side, prices: set[int], count: int) -> bool:
    worst = side.at(-1) if len(side) < count else side.at(count - 1)
    return any(side.sign * price >= side.sign * worst for price in prices)


def _difference(old: dict[int, int], new: dict[int, int]) -> Levels:
    gone = [(price, 0) for price in old if price not in new]
    return gone + [(price, amount) for price, amount in new.items() if old.get(price) != amount]
