"""Know when trades may be missing, so that candles of that time are not complete. All times are the exchange's, µs."""

from collections.abc import Callable
from typing import Any, NamedTuple

from streams.trade_ids import Range

_MOST = 64  # holes that are kept apart

Lack = Callable[[Range], bool]


class Hole(NamedTuple):
    """A time in which trades are missing. `missing`: their numbers, if known: all of them may still arrive."""

    begin: int
    end: int
    missing: Range | None = None

    def is_open(self, lack: Lack) -> bool:
        """Return whether trades are still missing."""
        return self.missing is None or lack(self.missing)

    def touches(self, other: "Hole") -> bool:
        """Return whether no time is between the two, and nothing that may arrive would fill only one of them."""
        is_lost = self.missing is None and other.missing is None
        return is_lost and self.begin <= other.end + 1 and other.begin <= self.end + 1

    def joined(self, other: "Hole") -> "Hole":
        """Return a hole of the time of both and what is between them. Nothing fills it any more."""
        return Hole(min(self.begin, other.begin), max(self.end, other.end))


class Coverage:
    """Holes in one instrument's trades. `missing_until`: the end of the last one that is past and was not filled.

    `cut_from`: trades after this time are missing, as nobody delivers them; None: they are delivered. At first nothing
    is covered. `cut_at`: when that was noted, by receipt.
    """

    __slots__ = ("_holes", "cut_at", "cut_from", "is_begun", "missing_until")

    def __init__(self) -> None:
        self.is_begun = False
        self.missing_until = -1
        self.cut_from: int | None = 0
        self.cut_at = 0
        self._holes: list[Hole] = []

    def cut(self, after: int, now: int) -> None:
        """Note that trades after a time are missing, from now (receipt) on."""
        if self.cut_from is None:
            self.cut_from = after
        self.cut_at = now

    def resume(self, at: int) -> None:
        """Note that trades are delivered from a time on."""
        self.is_begun = True
        if self.cut_from is not None:
            self.add(Hole(self.cut_from, max(at, self.cut_from)))
            self.cut_from = None

    def add(self, hole: Hole) -> None:
        """Note a hole."""
        for other in [other for other in self._holes if hole.touches(other)]:
            self._holes.remove(other)
            hole = hole.joined(other)
        self._holes.append(hole)
        if len(self._holes) > _MOST:
            self._join_closest()

    def _join_closest(self) -> None:
        """Join the two holes that have the least time between them, which then counts as missing, too."""
        holes = sorted(self._holes, key=lambda hole: hole.begin)
        at = min(range(len(holes) - 1), key=lambda at: holes[at + 1].begin - holes[at].end)
        holes[at : at + 2] = [holes[at].joined(holes[at + 1])]
        self._holes = holes

    def is_whole(self, start: int, end: int, lack: Lack) -> bool:
        """Return whether no trade from `start` to before `end` is missing."""
        if start <= self.missing_until or (self.cut_from is not None and end > self.cut_from):
            return False
        return not any(hole.begin < end and hole.end >= start and hole.is_open(lack) for hole in self._holes)

    def settle(self, horizon: int, lack: Lack) -> None:
        """Give up the holes that ended before a time: what was missing then is missing for good."""
        if not self._holes:
            return
        for hole in self._holes:
            if hole.end < horizon and hole.is_open(lack):
                self.on_missing(hole.end)
        self._holes = [hole for hole in self._holes if hole.end >= horizon]

    def on_missing(self, until: int) -> None:
        """Note that candles that begin by `until` and are not closed will lack trades."""
        self.missing_until = max(self.missing_until, until)

    def shift(self, step: int) -> None:
        """Move the times of receipt by `step` µs: our clock was set."""
        self.cut_at += step

    def dump(self) -> list[Any]:
        """Return the state for a checkpoint."""
        return [self.is_begun, self.missing_until, self.cut_from, self.cut_at, [list(hole) for hole in self._holes]]

    def load(self, dump: list[Any]) -> None:
        """Restore the state of a checkpoint."""
        self.is_begun, self.missing_until, self.cut_from, self.cut_at, holes = dump
        self._holes = [Hole(begin, end, missing and (missing[0], missing[1])) for begin, end, missing in holes]
