"""Compare the exchange's BBO with the rebuilt book's top at the same update id: the topic `market.quality`.

Whichever arrives first waits for the other, up to ten seconds. Ids that only one of the two has are never compared.
"""

from typing import Any, NamedTuple

import orjson
from orjson import Fragment

from streams.levels import Levels
from streams.output import Output
from streams.quality import publish_quality
from streams.subject import Subject

WAIT = 10_000_000  # µs
_MOST = 4_096  # BBOs that wait

_NONE = b'","'

# Both best levels: bid price, bid amount, ask price, ask amount as JSON strings, without the outer quotes. Those of an
# empty side are empty.
Top = bytes


class Difference(NamedTuple):
    """A disagreement at one update id."""

    sequence: int
    bbo: Top
    book: Top


def top_of(bids: Levels, asks: Levels) -> Top:
    """Return the best levels of both sides."""
    return b'%b","%b' % (bids[0] if bids else _NONE, asks[0] if asks else _NONE)


def json_of_top(top: Top) -> Fragment:
    """Return the four strings as JSON, to be embedded in an event."""
    return Fragment(b'["%b"]' % top)


class TruthCheck:
    """Running comparison: counts since the last report, and tops that wait for their counterpart."""

    __slots__ = ("agreed", "bbos", "books", "differed", "last_book")

    def __init__(self) -> None:
        self.agreed = 0
        self.differed = 0
        self.bbos: dict[int, tuple[int, Top]] = {}
        self.books: dict[int, tuple[int, Top]] = {}
        self.last_book = -1

    def on_bbo(self, now: int, sequence: int, top: Top) -> Difference | None:
        """Take the exchange's BBO."""
        waiting = self.books.pop(sequence, None)
        if waiting is not None:
            return self._compare(sequence, top, waiting[1])
        if sequence > self.last_book:  # else the book has passed this id without having it
            self.bbos[sequence] = (now, top)
            if len(self.bbos) > _MOST:  # the book does not advance
                self.bbos.clear()
        return None

    def on_book(self, now: int, sequence: int, top: Top) -> Difference | None:
        """Take the top of the rebuilt book."""
        self.last_book = sequence
        waiting = self.bbos.pop(sequence, None)
        self._expire(now, sequence)
        if waiting is not None:
            return self._compare(sequence, waiting[1], top)
        self.books[sequence] = (now, top)
        return None

    def restart(self) -> None:
        """Forget what waits: the book is not live any more, and ids may start over."""
        self.bbos.clear()
        self.books.clear()
        self.last_book = -1

    def report(self, out: Output, subject: Subject, sequence: int) -> None:
        """Publish how often both agreed since the last report, if they were compared."""
        agreed, differed = self.agreed, self.differed
        self.agreed = self.differed = 0
        if agreed + differed:
            counts = {"compared": agreed + differed, "agreed": agreed, "differed": differed}
            publish_quality(out, subject, "book", "report", sequence=sequence, **counts)

    def _compare(self, sequence: int, bbo: Top, book: Top) -> Difference | None:
        if bbo == book or _values(bbo) == _values(book):
            self.agreed += 1
            return None
        self.differed += 1
        return Difference(sequence, bbo, book)

    def _expire(self, now: int, sequence: int) -> None:
        """Drop what the book has passed and what has waited too long. Both dicts are in order of arrival."""
        _drop(self.bbos, now - WAIT, sequence)
        _drop(self.books, now - WAIT)

    def dump(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {
            "agreed": self.agreed,
            "differed": self.differed,
            "last_book": self.last_book,
            "bbos": _listed(self.bbos),
            "books": _listed(self.books),
        }

    def load(self, dump: dict[str, Any]) -> None:
        """Restore the state of a checkpoint."""
        self.agreed, self.differed, self.last_book = dump["agreed"], dump["differed"], dump["last_book"]
        self.bbos = _unlisted(dump["bbos"])
        self.books = _unlisted(dump["books"])


def publish_difference(out: Output, subject: Subject, difference: Difference) -> None:
    """Publish one disagreement."""
    tops = {"bbo": json_of_top(difference.bbo), "book": json_of_top(difference.book)}
    publish_quality(out, subject, "book", "difference", sequence=difference.sequence, **tops)


def _values(top: Top) -> list[float]:
    return [float(text or -1) for text in orjson.loads(b'["%b"]' % top)]


def _listed(waiting: dict[int, tuple[int, Top]]) -> list[Any]:
    return [[sequence, since, json_of_top(top)] for sequence, (since, top) in waiting.items()]


def _unlisted(dump: list[Any]) -> dict[int, tuple[int, Top]]:
    return {sequence: (since, orjson.dumps(texts)[2:-2]) for sequence, since, texts in dump}


def _drop(waiting: dict[int, tuple[int, Top]], before: int, below: int = 0) -> None:
    while waiting:
        sequence = next(iter(waiting))
        if sequence >= below and waiting[sequence][0] >= before:
            return
        del waiting[sequence]
