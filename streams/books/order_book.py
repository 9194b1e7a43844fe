"""Keep one instrument's book: `waiting` (updates are buffered, a snapshot is requested) → `live` → `stale` or back.

A plausible but wrong book is worse than a visible gap. So an update that does not follow is reported, and takes this
one book out of the live state until a snapshot arrives.
"""

from typing import Any, Literal, NamedTuple

from streams.books.book import Book
from streams.books.continuity import APPLY, GAP, RULES, Verdict
from streams.books.update_buffer import UpdateBuffer
from streams.levels import json_of
from streams.normalize.book_sides import levels
from streams.normalize.messages import BookMessage, CheckedLevels

State = Literal["waiting", "live", "stale"]

_CLEARLY_LATER = 1_000_000  # µs by which an update is certainly later than another
_SEED_AHEAD = 9_000_000  # µs by which a seed may be ahead of the stream
_ENOUGH = 0.8  # of the levels that the last seed had: when fewer are left, a fresh seed has more


class Broken(NamedTuple):
    """Reason why the book left the live state, or did not reach it. It needs a snapshot."""

    cause: str
    expected: int
    received: int


class OrderBook:
    """The book with its state and its sequence. It does not publish anything.

    A book whose snapshot is crossed, as before an opening, is not tradable. It stays `stale`, applies its updates, and
    goes live once it is no longer crossed. While a live book waits for a fresh seed, `buffer` also keeps the updates
    that were applied since the request.
    """

    __slots__ = (
        "_cut_at", "_first", "_has_outrun_seed", "_is_refreshing", "_rule", "_seed_levels", "_stamp", "book", "buffer",
        "crossed", "is_served", "sequence", "state",
    )  # fmt: skip

    def __init__(self, feed: str) -> None:
        self._rule, self._cut_at = RULES[feed]
        self._first = True  # the next update is the first after a snapshot
        self._stamp = 0  # exchange time of the last applied message, µs; 0: unknown
        self._seed_levels = 0  # of the shorter cut side of the last seed; 0: no side was cut
        self._is_refreshing = False  # a seed for the live book is requested
        self._has_outrun_seed = False  # the price left the last seed's levels, and nobody sends another
        self.is_served = False  # an ingest is running that answers requests
        self.book = Book()
        self.state: State = "waiting"
        self.crossed = False  # since its snapshot, and so not tradable
        self.sequence = -1
        self.buffer = UpdateBuffer()

    def cut_seeds_at(self, levels: int) -> None:
        """Treat sides of seeds with this many levels as cut off. Until then, every count that the feed offers is."""
        self._cut_at = frozenset({levels})

    def take(self, message: BookMessage) -> list[BookMessage] | Broken:
        """Take one message. Return those that changed the live book, to be published in this order.

        The list is empty if the message was buffered, or is a duplicate. Buffered updates may follow a snapshot.
        """
        if message.kind == "update":
            if self.state == "live" or self._resumable():
                return self._update(message)
            self.buffer.append(message)
            return []
        if message.kind == "snapshot":  # it contains whatever came before it in the stream
            self.buffer.clear()
        elif self.state == "live":
            return self._refresh(message) if self._is_refreshing else []  # else it is late: the book is ahead of it
        return self._start(message)

    def invalidate(self) -> None:
        """Leave the live state until a snapshot arrives: the connection was lost, or frames were."""
        self._forget("stale")

    def distrust(self) -> Broken:
        """Leave the live state: the exchange's BBO contradicts the book although its sequence has no gap."""
        broken = Broken("quality", self.sequence, self.sequence)
        self._forget("waiting")
        return broken

    def clear(self) -> None:
        """Give up the book and its levels."""
        self._forget("stale")
        self.book = Book()
        self._seed_levels = 0

    def mark_stale(self) -> None:
        """Leave the live state of a book that received nothing for too long. The next update makes it live again."""
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
        if isinstance(follows, Broken):  # the buffer is kept for a later snapshot
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
        """Return the buffered updates that a snapshot does not contain, or `Broken` if they do not follow it."""
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
        self._seed_levels = min(cut, default=0)
        self.sequence = snapshot.last
        self._first = True
        self._stamp = snapshot.timestamp if snapshot.kind == "snapshot" else 0
        self.crossed = self._is_refreshing = self._has_outrun_seed = False
        self.buffer.clear()
        for update in follows:
            self._apply(update)
        return [snapshot, *follows]

    # Seeds. Orders beyond a seed's levels are unknown until the next one.

    def is_near_bound(self) -> bool:
        """Return whether the price is close to where the known levels end. Cheap."""
        return self.book.bids.is_near_bound() or self.book.asks.is_near_bound()

    def shortage(self, depth: int) -> int:
        """Return the known levels of the shorter side if a fresh seed would add some, up to `depth`; else 0."""
        counts = [side.known_count() for side in (self.book.bids, self.book.asks) if side.is_cut]
        known = max(min(counts, default=0), 1) if counts else 0
        return known if 0 < known < min(depth, self._seed_levels * _ENOUGH) else 0

    def refresh(self) -> None:
        """Expect a seed for the live book, which stays live."""
        self._is_refreshing = True

    def _refresh(self, seed: BookMessage) -> list[BookMessage] | Broken:
        follows = self._following(seed)
        if isinstance(follows, Broken):  # the seed is older than the request: the book stays as it is
            return []
        applied = self._rebuild(seed, follows)
        if fault := self._contradiction(applied[-1]):
            return self._break(fault, applied[-1])
        return [self.whole(applied[-1].timestamp)]

    @property
    def is_whole(self) -> bool:
        """Whether the known levels may be published as the whole book."""
        return not self._has_outrun_seed

    def whole(self, timestamp: int) -> BookMessage:
        """Return all known levels as a snapshot to be published. Its levels have no floats."""
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
        """Return what an update that left the book unsound amounts to, or None if the book is live all the same."""
        if fault := self._contradiction(update):
            return [] if self.crossed and fault == "crossed" else self._break(fault, update)
        if not self.book.is_exhausted():
            return None
        if self.is_served:
            return self._break("depth", update)
        self._trust_updates()
        return None

    def _not_applied(self, verdict: Verdict, update: BookMessage) -> list[BookMessage] | Broken:
        if verdict is GAP:
            return self._break("sequence", update)
        return self._break("restarted", update) if self._restarted(update) else []

    def _trust_updates(self) -> None:
        """Go on with the levels known from updates: in a replay nobody answers requests. `TruthCheck` finds errors."""
        self.book.bids.uncut()
        self.book.asks.uncut()
        self._has_outrun_seed = True
        self._seed_levels = 0

    def _restarted(self, update: BookMessage) -> bool:
        """Return whether the exchange's ids started over: the update has an old id, but is later than the book."""
        if not self._stamp:  # a seed may be ahead of the stream, and its time is from another clock
            self._stamp = update.timestamp + _SEED_AHEAD
        return update.timestamp > self._stamp + _CLEARLY_LATER

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
        """Return the state for a checkpoint, to be encoded as JSON."""
        bids, asks = self.book.bids, self.book.asks
        return {
            "state": self.state,
            "sequence": self.sequence,
            "first": self._first,
            "stamp": self._stamp,
            "seeded": self._seed_levels,
            "cut_at": sorted(self._cut_at),
            "flags": [self._is_refreshing, self._has_outrun_seed, self.is_served, self.crossed],
            "bids": [json_of([*bids.levels.values()]), bids.cut_at()],
            "asks": [json_of([*asks.levels.values()]), asks.cut_at()],
            "buffer": self.buffer.dump(),
        }

    def load(self, dump: dict[str, Any]) -> None:
        """Restore the state of a checkpoint."""
        self.state, self.sequence, self._first = dump["state"], dump["sequence"], dump["first"]
        self._stamp, self._seed_levels = dump["stamp"], dump["seeded"]
        self._cut_at = frozenset(dump["cut_at"])
        self._is_refreshing, self._has_outrun_seed, self.is_served, self.crossed = dump["flags"]
        for side, (texts, cut_at) in ((self.book.bids, dump["bids"]), (self.book.asks, dump["asks"])):
            side.replace(levels(texts))
            if cut_at:
                side.cut(*cut_at)
        self.buffer.load(dump["buffer"])
