"""When a book may ask for a snapshot: at once, then less and less often while none helps. Times: µs of stream time."""

from typing import Any

_SECOND = 1_000_000
_FIRST_PAUSE = 5 * _SECOND
_LONGEST_PAUSE = 300 * _SECOND
_AT_ONCE = 4  # requests that need no pause between them
_STEADY = _SECOND  # live for so long, and the next trouble is a new one
_UNHURRIED = 30 * _SECOND  # between requests for more levels while many are known


class SnapshotRequests:
    """Counts the requests since the book was last live for a while; a request costs the exchange's budget.

    Before an opening each snapshot may be crossed, and a book that contradicts the exchange's BBO may do so again
    after each snapshot: asking at the same pace would use up what other books' repairs need.
    """

    __slots__ = ("_asked", "_asked_at", "live_since")

    def __init__(self) -> None:
        self._asked = 0
        self._asked_at = 0
        self.live_since = 0

    def on_request(self, now: int) -> None:
        self._asked += not self.live_since  # a live book that wants more levels is in no trouble
        self._asked_at = now

    def on_live(self, now: int) -> None:
        self.live_since = self.live_since or now

    def on_down(self, now: int) -> None:
        if self.live_since and now - self.live_since >= _STEADY:
            self._asked = 0
        self.live_since = 0

    def is_due_at_once(self, now: int) -> bool:
        """Whether to ask as soon as the book is down; else `is_due` says when."""
        return self._asked < _AT_ONCE or self.is_due(now)

    def is_due(self, now: int) -> bool:
        """Whether it is time to ask again."""
        pause = min(_FIRST_PAUSE << min(max(self._asked - _AT_ONCE, 0), 10), _LONGEST_PAUSE)
        return now - self._asked_at > pause

    def is_due_for_depth(self, now: int, known: int, wanted: int) -> bool:
        """Whether to ask for more levels than the book knows; soon when few are left."""
        return now - self._asked_at > (_UNHURRIED if known >= wanted // 4 else _FIRST_PAUSE)

    def shift(self, step: int) -> None:
        """Move all remembered times by `step` µs."""
        self._asked_at += step
        self.live_since += step if self.live_since else 0

    def dump(self) -> list[Any]:
        return [self._asked, self._asked_at, self.live_since]

    def load(self, dump: list[Any]) -> None:
        self._asked, self._asked_at, self.live_since = dump
