"""Rebuild order books from the events of `market.books`, `market.gaps` and `market.status`."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Literal

from marketprism.client.events import Book, Gap, Status
from marketprism.client.level import Level
from schemas.sources import Order, order_of

_ENDS = frozenset({"stopped", "silent", "delisted"})  # types of status after which no gap tells that a book is not live


class Side:
    """One side of a book; iterating yields its levels, best first."""

    __slots__ = ("_are_bids", "_levels", "_prices")

    def __init__(self, are_bids: bool) -> None:
        self._are_bids = are_bids
        # A float orders and identifies a price, however it is written; values are never computed from it.
        self._levels: dict[float, Level] = {}
        self._prices: list[float] = []  # ascending

    @property
    def best(self) -> Level | None:
        """The best level; None if the side is empty."""
        return self._levels[self._prices[-1 if self._are_bids else 0]] if self._prices else None

    def levels(self, count: int | None = None) -> list[Level]:
        """Return the best levels, best first; all without a count."""
        return list(islice(self, count))

    def __iter__(self) -> Iterator[Level]:
        prices = reversed(self._prices) if self._are_bids else self._prices
        return map(self._levels.__getitem__, prices)

    def __len__(self) -> int:
        return len(self._prices)

    def replace(self, levels: Iterable[Level]) -> None:
        """Replace all levels."""
        self._levels = {float(level.price_text): level for level in levels}
        self._prices = sorted(self._levels)

    def update(self, levels: Iterable[Level]) -> None:
        """Set absolute amounts; zero deletes."""
        held, prices = self._levels, self._prices
        for level in levels:
            price = float(level.price_text)
            if float(level.amount_text):
                if price not in held:
                    insort(prices, price)
                held[price] = level
            elif held.pop(price, None) is not None:
                del prices[bisect_left(prices, price)]


class OrderBook:
    """The book of one instrument, as of its last event.

    `state`: `stale` while a gap is open, the book's channel is silent, or nobody ingests it: the levels are the last
    known ones. Times are µs since the epoch: `timestamp` the exchange's, `local_timestamp` that of receipt. `sequence`:
    id of the last change contained.
    """

    __slots__ = (
        "_order", "asks", "bids", "exchange", "local_timestamp", "sequence", "state", "symbol", "timestamp"
    )  # fmt: skip

    def __init__(self, exchange: str, symbol: str) -> None:
        self.exchange, self.symbol = exchange, symbol
        self.state: Literal["live", "stale"] = "stale"
        self.timestamp = self.local_timestamp = self.sequence = 0
        self.bids, self.asks = Side(are_bids=True), Side(are_bids=False)
        self._order: Order | tuple[()] = ()  # of the last event or end

    @property
    def best_bid(self) -> Level | None:
        """The best bid; None if there is none."""
        return self.bids.best

    @property
    def best_ask(self) -> Level | None:
        """The best ask; None if there is none."""
        return self.asks.best

    def levels(self, count: int | None = None) -> tuple[list[Level], list[Level]]:
        """Return the best bids and asks, best first; all without a count."""
        return self.bids.levels(count), self.asks.levels(count)

    def __repr__(self) -> str:
        sides = (f"{side.best.price:f} ({side.best.amount:f})" if side.best else "–" for side in (self.bids, self.asks))
        return f"<{self.exchange} {self.symbol} {self.state}: {' / '.join(sides)}>"

    def on_book(self, event: Book) -> None:
        """Apply an event. Only live books have any, so the book is live unless a later end is known already."""
        if event.type == "snapshot":
            self.bids.replace(event.bids)
            self.asks.replace(event.asks)
        else:
            self.bids.update(event.bids)
            self.asks.update(event.asks)
        self.timestamp, self.local_timestamp, self.sequence = event.timestamp, event.local_timestamp, event.sequence
        self._move(event, "live")

    def on_end(self, event: Gap | Status) -> bool:
        """Apply an event that ends the live state. Return whether the book has become stale by it."""
        was_live = self.state == "live"
        self._move(event, "stale")
        return was_live and self.state == "stale"

    def _move(self, event: Book | Gap | Status, state: Literal["live", "stale"]) -> None:
        # They come from several topics. Which of two events is the later one, only their sources say.
        _, order = order_of(event.source)
        if order >= self._order:
            self._order, self.state = order, state


class OrderBooks:
    """The books of all instruments of which a snapshot is known; iterating yields them."""

    def __init__(self) -> None:
        self._books: dict[tuple[str, str], OrderBook] = {}

    def __iter__(self) -> Iterator[OrderBook]:
        return iter(list(self._books.values()))

    def apply(self, event: Book | Gap | Status) -> OrderBook | None:
        """Apply an event. Return the book that it changed, or None."""
        key = event.exchange, event.symbol
        book = self._books.get(key)
        if not isinstance(event, Book):
            return book if book is not None and _is_end(event) and book.on_end(event) else None
        if book is None:
            if event.type != "snapshot":
                return None  # it changes a book that is not known
            book = self._books[key] = OrderBook(event.exchange, event.symbol)
        book.on_book(event)
        return book

    def forget(self, exchange: str, symbol: str) -> None:
        """Drop a book, whose instrument is gone."""
        self._books.pop((exchange, symbol), None)


def _is_end(event: Gap | Status) -> bool:
    """Return whether a live book ends with this event."""
    if isinstance(event, Gap):
        return event.channel == "books" and event.type == "opened"
    return event.type in _ENDS and (not event.channels or "books" in event.channels)
