"""Remember the ids of an instrument's trades, to tell which trade is new and which are missing.

The same trade arrives again after a reconnect, after a resubscription, from two sockets during a handover, and twice in
one frame.
"""

from bisect import bisect_left, bisect_right
from typing import Any

_REMEMBERED = 120_000_000  # µs for which ids without an order are remembered, at least
_MOST_IDS = 4_096  # per such period
_MOST_RANGES = 1_024
_LEAP = 1_000_000  # a hole of more numbers means that the exchange's ids started over, not that trades are missing
_NONE = -2  # never a trade's number

Range = tuple[int, int]


class TradeIds:
    """Memory of trade ids: consecutive numbers as ranges with holes between them, other ids one by one for minutes.

    `next` is the number expected next. A caller who finds it on a trade only has to increment it.
    """

    __slots__ = ("_begun_at", "_ends", "_older", "_recent", "_starts", "next")

    def __init__(self) -> None:
        self.next = _NONE
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._recent: dict[str, None] = {}
        self._older: dict[str, None] = {}
        self._begun_at = 0

    def add_id(self, trade_id: str) -> bool:
        """Take an id without an order. Return whether it is new, as far as remembered."""
        if trade_id in self._recent or trade_id in self._older:
            return False
        self._recent[trade_id] = None
        if len(self._recent) >= _MOST_IDS:
            self._older, self._recent = self._recent, {}
        return True

    def add(self, first: int, last: int) -> tuple[bool, Range | None]:
        """Take consecutive numbers. Return whether the last is new, and which are missing just before the first."""
        self._count_up()
        starts, ends, missing = self._starts, self._ends, None
        at = bisect_right(starts, last) - 1
        if at >= 0 and last <= ends[at]:
            return False, None
        below = bisect_left(starts, first) - 1  # the new range contains the ranges between the two
        if below >= 0 and first <= ends[below] + 1:
            first, into = starts[below], below
        else:
            into = below + 1
            if at == below >= 0 and first - ends[at] <= _LEAP and self._is_highest(at):
                missing = ends[at] + 1, first - 1
        starts[into : at + 1], ends[into : at + 1] = [first], [last]
        self._merge(into)
        if len(starts) > _MOST_RANGES:
            del starts[0], ends[0]
            into -= 1
        self.next = ends[into] + 1 if self._is_highest(into) else _NONE
        return True, missing

    def is_leap(self, first: int) -> bool:
        """Return whether a number is so far from all known ones that the exchange's ids must have started over."""
        self._count_up()
        at = bisect_right(self._starts, first)
        below = at > 0 and first - self._ends[at - 1] <= _LEAP
        above = at < len(self._starts) and self._starts[at] - first <= _LEAP
        return bool(self._starts) and not below and not above

    def _is_highest(self, at: int) -> bool:
        """Return whether a range is the highest, apart from those on the other side of a restart of the ids."""
        return at + 1 == len(self._starts) or self._starts[at + 1] - self._ends[at] > _LEAP

    def _count_up(self) -> None:
        if self.next != _NONE:
            self._ends[bisect_right(self._starts, self.next - 1) - 1] = self.next - 1

    def _merge(self, at: int) -> None:
        starts, ends = self._starts, self._ends
        if at + 1 < len(starts) and starts[at + 1] <= ends[at] + 1:
            ends[at] = max(ends[at], ends[at + 1])
            del starts[at + 1], ends[at + 1]

    def lack(self, missing: Range) -> bool:
        """Return whether any of these numbers has not arrived."""
        self._count_up()
        at = bisect_right(self._starts, missing[0]) - 1
        return at < 0 or self._ends[at] < missing[1]

    def tick(self, now: int) -> None:
        """Forget old ids. `now`: µs of stream time."""
        if now - self._begun_at > _REMEMBERED:
            self._older, self._recent, self._begun_at = self._recent, {}, now

    def shift(self, step: int) -> None:
        """Move all remembered times by `step` µs: our clock was set."""
        self._begun_at += step

    def dump(self) -> list[Any]:
        """Return the state for a checkpoint."""
        self._count_up()
        return [self.next, self._starts, self._ends, [*self._older], [*self._recent], self._begun_at]

    def load(self, dump: list[Any]) -> None:
        """Restore the state of a checkpoint."""
        self.next, self._starts, self._ends, older, recent, self._begun_at = dump
        self._older, self._recent = dict.fromkeys(older), dict.fromkeys(recent)
