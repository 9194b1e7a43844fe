"""Detect whether any ingest serves a feed: each one writes a tick into every partition every second, naming its feeds.

An ingest that was killed reports nothing. Ticks of another writer are the witness that time has passed and that the
broker has accepted records. It is another ingest of the same exchange, or the worker (`streams/app.py`) if none is
left.
"""

from collections.abc import Collection, Iterable
from typing import Any

ABSENT_AFTER = 4_000_000  # µs without a feed's tick, by a witness's ticks
_CLOCK_STEP = 5_000_000  # µs: a tick earlier than the last one of the same ingest by more means its clock was set back


class Presence:
    """Presence of the feeds in one raw partition, judged by its ticks. Times: µs."""

    def __init__(self) -> None:
        self._ticked_at: dict[str, int] = {}
        self._witnessed_at: dict[str, int] = {}  # by feed: another's first tick since its own
        self._live: set[str] = set()  # feeds that an ingest has named; a replay names none
        self.absent: set[str] = set()
        self.now = 0  # of the last tick

    def on_tick(self, feeds: Collection[str], now: int, are_live: bool) -> tuple[list[str], list[str], int]:
        """Take a tick of the writer that serves `feeds`. `are_live`: an ingest names them.

        Return the feeds that became absent, those that returned, and the step (µs, negative) if the clock was set back.
        """
        self.now = now
        self._live.update(feeds if are_live else ())
        step = min((now - self._ticked_at[feed] for feed in feeds if feed in self._ticked_at), default=0)
        returned = [feed for feed in feeds if feed in self.absent]
        self.absent.difference_update(feeds)
        for feed in feeds:
            self._ticked_at[feed] = now
            self._witnessed_at.pop(feed, None)
        gone = [feed for feed in self._ticked_at if feed not in feeds and self._is_gone(feed, now)]
        self.absent.update(gone)
        return gone, returned, step if step < -_CLOCK_STEP else 0

    def _is_gone(self, feed: str, now: int) -> bool:
        witnessed_at = self._witnessed_at.setdefault(feed, now)
        if now < witnessed_at:  # the witnesses' clocks differ
            self._witnessed_at[feed] = now
        return feed not in self.absent and now - witnessed_at >= ABSENT_AFTER

    def age(self, feed: str, now: int) -> int:
        """Return the µs since the feed's last tick."""
        return max(now - self._ticked_at.get(feed, now), 0)

    def is_ingest_expected(self, feeds: Iterable[str]) -> bool:
        """Return whether an ingest has served one of these feeds and is not known to be absent."""
        return any(feed in self._live and feed not in self.absent for feed in feeds)

    def dump(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {
            "ticked": self._ticked_at,
            "witnessed": self._witnessed_at,
            "live": sorted(self._live),
            "absent": sorted(self.absent),
            "now": self.now,
        }

    def load(self, dump: dict[str, Any]) -> None:
        """Restore the state of a checkpoint."""
        self._ticked_at, self._witnessed_at = dump["ticked"], dump["witnessed"]
        self._live, self.absent = set(dump["live"]), set(dump["absent"])
        self.now = dump["now"]
