"""Which of the BBO and the book is ahead: two channels race to the join, and none may step it back.

Ids tell, where the BBO has any; else the exchange's time (Deribit, whose books lag by some 100 ms; OKX of old).
"""

from typing import Any

from streams.normalize.messages import Quote

_BELIEVED = 5_000_000  # µs that one channel may stay ahead: a longer lead is a bad id or time, not news


class Recency:
    """Recency of one instrument's quotes. Sequences are -1 without a book, times µs of the exchange, `now` receipt."""

    __slots__ = ("_bbo", "_bbo_since", "_book_at", "_book_since")

    def __init__(self) -> None:
        self._book_at = self._book_since = 0
        self._bbo = (0, 0)  # sequence and time of the last BBO that went ahead
        self._bbo_since = 0

    def restart(self) -> None:
        """The book begins anew: it counts at once."""
        self._bbo = 0, 0

    def on_book(self, timestamp: int, now: int) -> None:
        self._book_at, self._book_since = timestamp, now

    def on_quote(self, quote: Quote, now: int) -> None:
        self._bbo, self._bbo_since = (quote.sequence, quote.timestamp), now

    def has_quote(self, quote: Quote, sequence: int, now: int) -> bool:
        """Whether this BBO is not behind the book at `sequence`. At the same time but without ids, the book counts."""
        if quote.sequence or sequence < 0:
            return quote.sequence >= sequence
        return quote.timestamp > self._book_at or now - self._book_since > _BELIEVED

    def has_book(self, sequence: int, now: int) -> bool:
        """Whether the book at `sequence` is not behind the last BBO."""
        bbo, timestamp = self._bbo
        is_behind = sequence < bbo if bbo else self._book_at < timestamp
        return not is_behind or now - self._bbo_since > _BELIEVED

    def shift(self, step: int) -> None:
        """Move the times of receipt by `step` µs: our clock was set."""
        self._book_since += step
        self._bbo_since += step

    def dump(self) -> list[Any]:
        return [self._book_at, self._book_since, *self._bbo, self._bbo_since]

    def load(self, dump: list[Any]) -> None:
        self._book_at, self._book_since, *bbo, self._bbo_since = dump
        self._bbo = bbo[0], bbo[1]
