"""Limit how often a book requests snapshots: at once at first, then ever less often. Times: µs of stream time."""

from typing import Any

_SECOND = 1_000_000
_FIRST_PAUSE = 5 * _SECOND
_LONGEST_PAUSE = 300 * _SECOND
_AT_ONCE = 4  # requests that need no pause between them
_STABLE_AFTER = _SECOND  # of being live, after which requests are counted from zero
_DEPTH_PAUSE = 30 * _SECOND  # between requests for more levels while many are known


class SnapshotRequests:
    """Counter of the requests since the book was last live for a while. Each one counts against a request limit.

    Before an opening every snapshot may be crossed, and a book that contradicts the exchange's BBO may do so again
    after every snapshot. Requests at a constant rate would leave nothing for the recovery of other books.
    """

    __slots__ = ("_count", "_requested_at", "live_since")

    def __init__(self) -> None:
        self._count = 0
        self._requested_at = 0
        self.live_since = 0

    def on_request(self, now: int) -> None:
        """Count a request."""
        self._count += not self.live_since  # a live book only wants more levels
        self._requested_at = now

    def on_live(self, now: int) -> None:
        """Note that the book is live."""
        self.live_since = self.live_since or now

    def on_down(self, now: int) -> None:
        """Note that the book has left the live state, or did not reach it."""
        if self.live_since and now - self.live_since >= _STABLE_AFTER:
            self._count = 0
        self.live_since = 0

    def is_due_at_once(self, now: int) -> bool:
        """Return whether to request a snapshot as soon as the book is down; otherwise `is_due` says when."""
        return self._count < _AT_ONCE or self.is_due(now)

    def is_due(self, now: int) -> bool:
        """Return whether it is time to repeat the request."""
        pause = min(_FIRST_PAUSE << min(max(self._count - _AT_ONCE, 0), 10), _LONGEST_PAUSE)
        return now - self._requested_at > pause

    def is_due_for_depth(self, now: int, known: int, wanted: int) -> bool:
        """Return whether to request more levels than the `known` ones; sooner when few of them are left."""
        return now - self._requested_at > (_DEPTH_PAUSE if known >= wanted // 4 else _FIRST_PAUSE)

    def shift(self, step: int) -> None:
        """Move all remembered times by `step` µs: our clock was set."""
        self._requested_at += step
        self.live_since += step if self.live_since else 0

    def dump(self) -> list[Any]:
        """Return the state for a checkpoint."""
        return [self._count, self._requested_at, self.live_since]

    def load(self, dump: list[Any]) -> None:
        """Restore the state of a checkpoint."""
        self._count, self._requested_at, self.live_since = dump
