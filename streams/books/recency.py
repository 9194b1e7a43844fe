"""Decide which of the BBO and the rebuilt book is newer, so that the quotes sent to the join never move backwards.

Ids decide if the BBO has any. Otherwise the exchange's time does (Deribit, whose books lag by about 100 ms, and old
OKX recordings).
"""

from typing import Any

from streams.normalize.messages import Quote

_LONGEST_LEAD = 5_000_000  # µs that one channel may stay ahead: a longer lead means a bad id or time


class Recency:
    """Recency of one instrument's quotes.

    `sequence` is -1 while there is no book. `timestamp` is exchange time and `now` the time of receipt, µs.
    """

    __slots__ = ("_bbo", "_bbo_since", "_book_at", "_book_since")

    def __init__(self) -> None:
        self._book_at = self._book_since = 0
        self._bbo = (0, 0)  # sequence and time of the last BBO that took the lead
        self._bbo_since = 0

    def restart(self) -> None:
        """Forget the BBO: the book was rebuilt, and counts at once."""
        self._bbo = 0, 0

    def on_book(self, timestamp: int, now: int) -> None:
        """Note the time of the book's last update."""
        self._book_at, self._book_since = timestamp, now

    def on_quote(self, quote: Quote, now: int) -> None:
        """Note a BBO that is not behind the book, or best levels from REST that stand in for it."""
        self._bbo, self._bbo_since = (quote.sequence, quote.timestamp), now

    def is_quote_current(self, quote: Quote, sequence: int, now: int) -> bool:
        """Return whether a BBO is not behind the book at `sequence`. Without ids, the book wins a tie in time."""
        if quote.sequence or sequence < 0:
            return quote.sequence >= sequence
        return quote.timestamp > self._book_at or now - self._book_since > _LONGEST_LEAD

    def is_answer_current(self, quote: Quote, now: int) -> bool:
        """Return whether best levels from REST are not behind the last BBO, or the last such answer."""
        sequence, timestamp = self._bbo
        is_behind = quote.sequence < sequence if quote.sequence and sequence else quote.timestamp < timestamp
        return not is_behind or now - self._bbo_since > _LONGEST_LEAD

    def is_book_current(self, sequence: int, now: int) -> bool:
        """Return whether the book at `sequence` is not behind the last BBO."""
        bbo, timestamp = self._bbo
        is_behind = sequence < bbo if bbo else self._book_at < timestamp
        return not is_behind or now - self._bbo_since > _LONGEST_LEAD

    def shift(self, step: int) -> None:
        """Move the times of receipt by `step` µs: our clock was set."""
        self._book_since += step
        self._bbo_since += step

    def dump(self) -> list[Any]:
        """Return the state for a checkpoint."""
        return [self._book_at, self._book_since, *self._bbo, self._bbo_since]

    def load(self, dump: list[Any]) -> None:
        """Restore the state of a checkpoint."""
        self._book_at, self._book_since, *bbo, self._bbo_since = dump
        self._bbo = bbo[0], bbo[1]
