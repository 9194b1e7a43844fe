"""One instrument's book through its life: `waiting` (buffering, a snapshot asked for) → `live` → `stale` or back.

A plausible but wrong book is worse than a visible gap: whatever does not follow takes this one book out of the live
state until a snapshot has come, and is reported.
"""

from collections import deque
from typing import Any, Literal, NamedTuple

from streams.book import Book
from streams.continuity import Rule, Verdict
from streams.levels import json_of
from streams.normalize.events import Depth
from streams.normalize.values import levels

State = Literal["waiting", "live", "stale"]

# Updates kept while a snapshot is awaited: at the fastest cadence (10 ms) some 40 s; older ones are of no use then.
_BUFFERED = 4096

_CLEARLY = 1_000_000  # µs by which an update is later than another for sure
_AHEAD = 9_000_000  # µs by which a snapshot that was fetched may be ahead of the stream


class Broken(NamedTuple):
    """The book left the live state, or did not reach it: a snapshot is needed."""

    cause: str
    expected: int
    received: int


class OrderBook:
    """Holds the book, its state and its sequence; knows nothing of topics."""

    __slots__ = ("_first", "_rule", "_stamp", "book", "buffer", "sequence", "state")

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._first = True  # the next update is the first on a snapshot
        self._stamp = 0  # exchange time of what was applied last, µs; 0: not known
        self.book = Book()
        self.state: State = "waiting"
        self.sequence = -1
        self.buffer: deque[Depth] = deque(maxlen=_BUFFERED)

    def take(self, message: Depth) -> list[Depth] | Broken:
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
            return []  # a seed that comes late: the book is ahead of it
        return self._start(message)

    def leave(self) -> None:
        """The connection went, or frames were lost: nothing is believed until a snapshot comes."""
        self.state = "stale"
        self.sequence = -1
        self.buffer.clear()

    def fall_silent(self) -> None:
        """Nothing was heard for too long: not to be traded on, but an update that follows makes it live again."""
        self.state = "stale"

    def _resumable(self) -> bool:
        return self.state == "stale" and self.sequence >= 0

    def _start(self, snapshot: Depth) -> list[Depth] | Broken:
        self.book.replace(snapshot.bids, snapshot.asks)
        self.sequence = snapshot.last
        self._first = True
        self._stamp = snapshot.timestamp if snapshot.kind == "snapshot" else 0
        applied = [snapshot]
        for update in self.buffer:
            verdict = self._rule(self.sequence, update, self._first)
            if verdict is Verdict.GAP:
                self.state = "waiting"
                return Broken("snapshot_too_old", self.sequence, update.first)
            if verdict is Verdict.APPLY:
                self._apply(update)
                applied.append(update)
        self.buffer.clear()
        if fault := self._contradiction(applied[-1]):
            return self._break(fault, applied[-1])
        self.state = "live"
        return applied

    def _update(self, update: Depth) -> list[Depth] | Broken:
        verdict = self._rule(self.sequence, update, self._first)
        if verdict is Verdict.DROP:
            return self._break("restarted", update) if self._restarted(update) else []
        if verdict is Verdict.GAP:
            return self._break("sequence", update)
        self._apply(update)
        if fault := self._contradiction(update):
            return self._break(fault, update)
        self.state = "live"
        return [update]

    def _restarted(self, update: Depth) -> bool:
        """An update with ids of old, but later than what the book holds: the exchange's ids began anew."""
        if not self._stamp:  # a seed may be ahead of the stream, and its time is another clock's
            self._stamp = update.timestamp + _AHEAD
        return update.timestamp > self._stamp + _CLEARLY

    def _apply(self, update: Depth) -> None:
        self._stamp = update.timestamp
        self.book.update(update.bids, update.asks)
        self.sequence = update.last
        self._first = False

    def _contradiction(self, message: Depth) -> str:
        if message.checksum and message.checksum != self.book.checksum():
            return "checksum"
        return "crossed" if self.book.crossed() else ""

    def _break(self, cause: str, message: Depth) -> Broken:
        received = message.previous if message.previous >= 0 else message.first
        broken = Broken(cause, self.sequence, received)
        self.state = "waiting"
        self.sequence = -1
        self.buffer.clear()
        if cause in ("sequence", "restarted"):
            self.buffer.append(message)
        return broken

    def dump(self) -> dict[str, Any]:
        """Everything, for a checkpoint; to be encoded as JSON."""
        return {
            "state": self.state,
            "sequence": self.sequence,
            "first": self._first,
            "stamp": self._stamp,
            "bids": json_of([*self.book.bids.levels.values()]),
            "asks": json_of([*self.book.asks.levels.values()]),
            "buffer": [_as_list(held) for held in self.buffer],
        }

    def load(self, dump: dict[str, Any]) -> None:
        """Become what was dumped."""
        self.state, self.sequence, self._first = dump["state"], dump["sequence"], dump["first"]
        self._stamp = dump["stamp"]
        self.book.replace(levels(dump["bids"]), levels(dump["asks"]))
        held = ([*head, levels(bids), levels(asks), crc] for *head, bids, asks, crc in dump["buffer"])
        self.buffer = deque((Depth(*fields) for fields in held), maxlen=_BUFFERED)


def _as_list(held: Depth) -> list[Any]:
    head = [held.kind, held.timestamp, held.first, held.last, held.previous]
    return [*head, json_of(held.bids.levels), json_of(held.asks.levels), held.checksum]
