"""The ids that an instrument's trades had: which trade is new, and which are missing.

The same trade comes again after a reconnect, on a resubscription, from two sockets while one takes over from the other,
and twice in one frame.
"""

from bisect import bisect_left, bisect_right
from typing import Any

_REMEMBERED = 120_000_000  # µs that ids without an order are remembered, at least
_MOST_IDS = 4_096  # of one such time
_MOST_RANGES = 1_024
_LEAP = 1_000_000  # ids: nobody misses so many; the exchange's ids began anew
_NONE = -2  # never a trade's number

Range = tuple[int, int]


class TradeIds:
    """Consecutive numbers are kept as ranges, with what is missing between them; other ids one by one for some minutes.

    `next` is the number that is due: who finds it on a trade only has to count it up.
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
        """Take an id without an order; whether it has not come lately."""
        if trade_id in self._recent or trade_id in self._older:
            return False
        self._recent[trade_id] = None
        if len(self._recent) >= _MOST_IDS:
            self._older, self._recent = self._recent, {}
        return True

    def add(self, first: int, last: int) -> tuple[bool, Range | None]:
        """Take consecutive numbers: whether the last is new, and which are missing just before the first."""
        self._count_up()
        starts, ends, missing = self._starts, self._ends, None
        at = bisect_right(starts, last) - 1
        if at >= 0 and last <= ends[at]:
            return False, None
        below = bisect_left(starts, first) - 1  # the ranges between the two are parts of this one
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

    def _is_highest(self, at: int) -> bool:
        """Whether no range lies above that one, but for numbers from before, or after, the ids began anew."""
        return at + 1 == len(self._starts) or self._starts[at + 1] - self._ends[at] > _LEAP

    def _count_up(self) -> None:
        if self.next != _NONE:
            self._ends[bisect_right(self._starts, self.next - 1) - 1] = self.next - 1

    def _merge(self, at: int) -> None:
        starts, ends = self._starts, self._ends
        if at + 1 < len(starts) and starts[at + 1] <= ends[at] + 1:
            ends[at] = max(ends[at], ends[at + 1])
            del starts[at + 1], ends[at + 1]

    def miss(self, missing: Range) -> bool:
        """Whether any of these numbers has not come."""
        self._count_up()
        at = bisect_right(self._starts, missing[0]) - 1
        return at < 0 or self._ends[at] < missing[1]

    def tick(self, now: int) -> None:
        """Forget old ids; µs of stream time."""
        if now - self._begun_at > _REMEMBERED:
            self._older, self._recent, self._begun_at = self._recent, {}, now

    def shift(self, step: int) -> None:
        """Move all remembered times by `step` µs."""
        self._begun_at += step

    def dump(self) -> list[Any]:
        self._count_up()
        return [self.next, self._starts, self._ends, [*self._older], [*self._recent], self._begun_at]

    def load(self, dump: list[Any]) -> None:
        self.next, self._starts, self._ends, older, recent, self._begun_at = dump
        self._older, self._recent = dict.fromkeys(older), dict.fromkeys(recent)
