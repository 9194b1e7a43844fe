"""Which of the BBO and the book is ahead: two channels race to the join, and none may step it back.

Ids tell, where the BBO has any; else the exchange's time (Deribit, whose books lag by some 100 ms; OKX of old).
"""

from typing import Any

from streams.normalize.events import Quote


class Lead:
    """Of one instrument's live book. Sequences are -1 without a book, times µs of the exchange."""

    __slots__ = ("_bbo", "_book_at")

    def __init__(self) -> None:
        self._book_at = 0
        self._bbo = (0, 0)  # sequence and time of the last BBO that went ahead

    def restart(self) -> None:
        """The book begins anew: it counts at once."""
        self._bbo = 0, 0

    def on_book(self, timestamp: int) -> None:
        self._book_at = timestamp

    def on_quote(self, quote: Quote) -> None:
        self._bbo = quote.sequence, quote.timestamp

    def has_quote(self, quote: Quote, sequence: int) -> bool:
        """Whether this BBO is not behind the book at `sequence`. At the same time but without ids, the book counts."""
        if quote.sequence or sequence < 0:
            return quote.sequence >= sequence
        return quote.timestamp > self._book_at

    def has_book(self, sequence: int) -> bool:
        """Whether the book at `sequence` is not behind the last BBO."""
        bbo, timestamp = self._bbo
        return sequence >= bbo if bbo else self._book_at >= timestamp

    def dump(self) -> list[Any]:
        return [self._book_at, *self._bbo]

    def load(self, dump: list[Any]) -> None:
        self._book_at, *bbo = dump
        self._bbo = bbo[0], bbo[1]
