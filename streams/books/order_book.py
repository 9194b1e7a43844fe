"""One instrument's book through its life: `waiting` (buffering, a snapshot asked for) → `live` → `stale` or back.

A plausible but wrong book is worse than a visible gap: whatever does not follow takes this one book out of the live
state until a snapshot has come, and is reported.
"""

from typing import Any, Literal, NamedTuple

from streams.books.book import Book
from streams.books.continuity import APPLY, CUT_AT, GAP, RULES, Verdict
from streams.books.update_buffer import UpdateBuffer
from streams.levels import json_of
from streams.normalize.book_sides import levels
from streams.normalize.messages import BookMessage, CheckedLevels

State = Literal["waiting", "live", "stale"]

_CLEARLY = 1_000_000  # µs by which an update is later than another for sure
_AHEAD = 9_000_000  # µs by which a snapshot that was fetched may be ahead of the stream
_ENOUGH = 0.8  # of the levels that a seed brought: with fewer, a fresh one brings more


class Broken(NamedTuple):
    """The book left the live state, or did not reach it: a snapshot is needed."""

    cause: str
    expected: int
    received: int


class OrderBook:
    """Holds the book, its state and its sequence; knows nothing of topics.

    A book whose snapshot is crossed, as before an opening, is not tradable: it stays `stale`, follows its updates and
    goes live once it has uncrossed. While a live book waits for a fresh seed, `buffer` holds what it has applied since.
    """

    __slots__ = (
        "_cut_at", "_first", "_is_refreshing", "_is_revealed", "_rule", "_seeded", "_stamp", "book", "buffer",
        "crossed", "is_served", "sequence", "state",
    )  # fmt: skip

    def __init__(self, feed: str) -> None:
        self._rule = RULES[feed]
        self._cut_at = CUT_AT.get(feed, frozenset[int]())
        self._first = True  # the next update is the first on a snapshot
        self._stamp = 0  # exchange time of what was applied last, µs; 0: not known
        self._seeded = 0  # levels of the shorter cut side of the last seed; 0: no side was cut
        self._is_refreshing = False
        self._is_revealed = False  # the price left what the last seed knew, and nobody brings another
        self.is_served = False  # an ingest is there, which answers requests
        self.book = Book()
        self.state: State = "waiting"
        self.crossed = False  # since its snapshot: not tradable
        self.sequence = -1
        self.buffer = UpdateBuffer()

    def cut_seeds_at(self, levels: int) -> None:
        """Seeds with as many levels a side were cut off there; without this all counts that the feed has count."""
        self._cut_at = frozenset({levels})

    def take(self, message: BookMessage) -> list[BookMessage] | Broken:
        """Take one message; return those that changed the live book, to be published in this order.

        Empty: the message was buffered, or held already. A snapshot may be followed by buffered updates.
        """
        if message.kind == "update":
            if self.state == "live" or self._resumable():
                return self._update(message)
            self.buffer.append(message)
            return []
        if message.kind == "snapshot":  # whatever came before it in the stream is in it
            self.buffer.clear()
        elif self.state == "live":
            return self._refresh(message) if self._is_refreshing else []  # else it comes late: the book is ahead
        return self._start(message)

    def leave(self) -> None:
        """Believe nothing until a snapshot comes: the connection went, or frames were lost."""
        self._forget("stale")

    def distrust(self) -> Broken:
        """Leave the live state: the exchange contradicts the book, which no sequence told."""
        broken = Broken("quality", self.sequence, self.sequence)
        self._forget("waiting")
        return broken

    def clear(self) -> None:
        """Give up the book and its levels."""
        self._forget("stale")
        self.book = Book()
        self._seeded = 0

    def fall_silent(self) -> None:
        """Stop trading on a book that heard nothing for too long; an update that follows makes it live again."""
        self.state = "stale"

    def _forget(self, state: State) -> None:
        self.state = state
        self.sequence = -1
        self.crossed = self._is_refreshing = False
        self.buffer.clear()

    def _resumable(self) -> bool:
        return self.state == "stale" and self.sequence >= 0

    # Snapshots

    def _start(self, snapshot: BookMessage) -> list[BookMessage] | Broken:
        follows = self._following(snapshot)
        if isinstance(follows, Broken):  # the buffer is kept for a later one
            self.state = "waiting"
            self.sequence = -1
            return follows
        applied = self._rebuild(snapshot, follows)
        if fault := self._contradiction(applied[-1]):
            if fault == "crossed":
                return self._hold_crossed()
            return self._break(fault, applied[-1])
        self.state = "live"
        return applied

    def _hold_crossed(self) -> list[BookMessage]:
        self.state = "stale"
        self.crossed = True
        return []

    def _following(self, snapshot: BookMessage) -> list[BookMessage] | Broken:
        """The buffered updates that a snapshot does not hold yet; `Broken` where they do not follow it."""
        sequence, first, follows = snapshot.last, True, list[BookMessage]()
        for update in self.buffer:
            verdict = self._rule(sequence, update, first)
            if verdict is GAP:
                return Broken("snapshot_too_old", sequence, update.first)
            if verdict is APPLY:
                follows.append(update)
                sequence, first = update.last, False
        return follows

    def _rebuild(self, snapshot: BookMessage, follows: list[BookMessage]) -> list[BookMessage]:
        cut_at = self._cut_at if snapshot.kind == "seed" else ()
        self.book.replace(snapshot.bids, snapshot.asks, cut_at)
        cut = [len(side.levels) for side in (snapshot.bids, snapshot.asks) if len(side.levels) in cut_at]
        self._seeded = min(cut, default=0)
        self.sequence = snapshot.last
        self._first = True
        self._stamp = snapshot.timestamp if snapshot.kind == "snapshot" else 0
        self.crossed = self._is_refreshing = self._is_revealed = False
        self.buffer.clear()
        for update in follows:
            self._apply(update)
        return [snapshot, *follows]

    # A seed knows its levels only: what rests beyond them is unknown until the next one

    def is_near_bound(self) -> bool:
        """Whether the price has come near to where the known levels end; cheap."""
        return self.book.bids.is_near_bound() or self.book.asks.is_near_bound()

    def shortage(self, depth: int) -> int:
        """The known levels of the shorter side, where a fresh seed would bring more towards `depth`; else 0."""
        counts = [side.known_count() for side in (self.book.bids, self.book.asks) if side.is_cut]
        known = max(min(counts, default=0), 1) if counts else 0
        return known if 0 < known < min(depth, self._seeded * _ENOUGH) else 0

    def refresh(self) -> None:
        """Expect a seed, with which the live book goes on."""
        self._is_refreshing = True

    def _refresh(self, seed: BookMessage) -> list[BookMessage] | Broken:
        follows = self._following(seed)
        if isinstance(follows, Broken):  # it is older than the request: the book goes on as it is
            return []
        applied = self._rebuild(seed, follows)
        if fault := self._contradiction(applied[-1]):
            return self._break(fault, applied[-1])
        return [self.whole(applied[-1].timestamp)]

    @property
    def is_whole(self) -> bool:
        """Whether all that is shown may be published as a whole."""
        return not self._is_revealed

    def whole(self, timestamp: int) -> BookMessage:
        """All known levels as a snapshot to be published; it bears no numbers."""
        bids, asks = CheckedLevels(self.book.bids.all(), []), CheckedLevels(self.book.asks.all(), [])
        return BookMessage("snapshot", timestamp, self.sequence, self.sequence, self.sequence, bids, asks)

    # Updates

    def _update(self, update: BookMessage) -> list[BookMessage] | Broken:
        verdict = self._rule(self.sequence, update, self._first)
        if verdict is not APPLY:
            return self._not_applied(verdict, update)
        if self._is_refreshing:
            self.buffer.append(update)
        self._apply(update)
        if (update.checksum or not self.book.is_sound()) and (broken := self._unsound(update)) is not None:
            return broken
        self.state = "live"
        if self.crossed:
            self.crossed = False
            return [self.whole(update.timestamp)]
        return [update]

    def _unsound(self, update: BookMessage) -> list[BookMessage] | Broken | None:
        """Why the book is not live after this update; None where it is all the same."""
        if fault := self._contradiction(update):
            return [] if self.crossed and fault == "crossed" else self._break(fault, update)
        if not self.book.is_exhausted():
            return None
        if self.is_served:
            return self._break("depth", update)
        self._believe_updates()
        return None

    def _not_applied(self, verdict: Verdict, update: BookMessage) -> list[BookMessage] | Broken:
        if verdict is GAP:
            return self._break("sequence", update)
        return self._break("restarted", update) if self._restarted(update) else []

    def _believe_updates(self) -> None:
        """Go on with what the updates told: in a replay nobody answers a request. The truth check watches the rest."""
        self.book.bids.uncut()
        self.book.asks.uncut()
        self._is_revealed = True
        self._seeded = 0

    def _restarted(self, update: BookMessage) -> bool:
        """An update with ids of old, but later than what the book holds: the exchange's ids began anew."""
        if not self._stamp:  # a seed may be ahead of the stream, and its time is another clock's
            self._stamp = update.timestamp + _AHEAD
        return update.timestamp > self._stamp + _CLEARLY

    def _apply(self, update: BookMessage) -> None:
        self._stamp = update.timestamp
        book = self.book
        book.bids.update(update.bids)
        book.asks.update(update.asks)
        self.sequence = update.last
        self._first = False

    def _contradiction(self, message: BookMessage) -> str:
        book = self.book
        if message.checksum and message.checksum != book.checksum():
            return "checksum"
        return "crossed" if book.crossed() else ""

    def _break(self, cause: str, message: BookMessage) -> Broken:
        received = message.previous if message.previous >= 0 else message.first
        broken = Broken(cause, self.sequence, received)
        self._forget("waiting")
        if cause in ("sequence", "restarted"):
            self.buffer.append(message)
        return broken

    # Checkpoint

    def dump(self) -> dict[str, Any]:
        """Everything, for a checkpoint; to be encoded as JSON."""
        bids, asks = self.book.bids, self.book.asks
        return {
            "state": self.state,
            "sequence": self.sequence,
            "first": self._first,
            "stamp": self._stamp,
            "seeded": self._seeded,
            "cut_at": sorted(self._cut_at),
            "flags": [self._is_refreshing, self._is_revealed, self.is_served, self.crossed],
            "bids": [json_of([*bids.levels.values()]), bids.cut_at()],
            "asks": [json_of([*asks.levels.values()]), asks.cut_at()],
            "buffer": self.buffer.dump(),
        }

    def load(self, dump: dict[str, Any]) -> None:
        """Become what was dumped."""
        self.state, self.sequence, self._first = dump["state"], dump["sequence"], dump["first"]
        self._stamp, self._seeded = dump["stamp"], dump["seeded"]
        self._cut_at = frozenset(dump["cut_at"])
        self._is_refreshing, self._is_revealed, self.is_served, self.crossed = dump["flags"]
        for side, (texts, cut_at) in ((self.book.bids, dump["bids"]), (self.book.asks, dump["asks"])):
            side.replace(levels(texts))
            if cut_at:
                side.cut(*cut_at)
        self.buffer.load(dump["buffer"])
