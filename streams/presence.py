"""Whether anybody ingests a feed: ingest puts a tick into each partition every second, with the feeds that it serves.

An ingest that was killed says nothing. Who else writes ticks is the witness that time passed and that the broker took
records meanwhile: another ingest of the same exchange, or the worker itself (`streams/app.py`) where none is left.
"""

from collections.abc import Collection, Iterable
from typing import Any

ABSENT_AFTER = 4_000_000  # µs without a feed's tick, by a witness's ticks
_STEP_BACK = 5_000_000  # µs: a tick so much before the last one of the same ingest tells that its clock was set


class Presence:
    """The feeds of one raw partition, by the ticks in it. Times: µs."""

    def __init__(self) -> None:
        self._ticked_at: dict[str, int] = {}
        self._witnessed_at: dict[str, int] = {}  # by feed: the first tick of others since its own
        self._live: set[str] = set()  # feeds that an ingest named, as a replay does not
        self.absent: set[str] = set()
        self.now = 0  # of the last tick

    def on_tick(self, feeds: Collection[str], now: int, are_live: bool) -> tuple[list[str], list[str], int]:
        """Take a tick of whoever serves `feeds`: those that became absent, that returned, and by how much the clock
        was set back. `are_live`: an ingest names them."""
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
        return gone, returned, step if step < -_STEP_BACK else 0

    def _is_gone(self, feed: str, now: int) -> bool:
        witnessed_at = self._witnessed_at.setdefault(feed, now)
        if now < witnessed_at:  # the witnesses' clocks differ
            self._witnessed_at[feed] = now
        return feed not in self.absent and now - witnessed_at >= ABSENT_AFTER

    def age(self, feed: str, now: int) -> int:
        """µs since the feed's last tick."""
        return max(now - self._ticked_at.get(feed, now), 0)

    def is_anybody_expected(self, feeds: Iterable[str]) -> bool:
        """Whether an ingest served one of these feeds and is not known to be absent."""
        return any(feed in self._live and feed not in self.absent for feed in feeds)

    def dump(self) -> dict[str, Any]:
        return {
            "ticked": self._ticked_at,
            "witnessed": self._witnessed_at,
            "live": sorted(self._live),
            "absent": sorted(self.absent),
            "now": self.now,
        }

    def load(self, dump: dict[str, Any]) -> None:
        self._ticked_at, self._witnessed_at = dump["ticked"], dump["witnessed"]
        self._live, self.absent = set(dump["live"]), set(dump["absent"])
        self.now = dump["now"]
