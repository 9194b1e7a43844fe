"""Decide when a poll is due, how many rows to ask for, and whether the newest has arrived.

All times are by the exchange's clock, in s since the epoch.
"""

from math import ceil, inf
from zlib import crc32

from ingest.exchanges.polls import PollRow

_MAX_JITTER = 5.0  # s
_AT_START = 3600.0  # s before the start that are asked for too: ingest may have been restarted


def jitter_of(channel: str, key: str, period_s: float) -> float:
    """Return the s by which a poll is put off: always the same of one subject, so that a period's polls are spread."""
    return crc32(f"{channel} {key}".encode()) / (1 << 32) * min(_MAX_JITTER, period_s / 20)


class PollSchedule:
    """Schedule of one poll. A period is identified by its `end`, which is a multiple of its length.

    A period of the poll may have several rows of the exchange, each of a period of its own. Whether an exchange stamps
    a row with its begin or its end is not assumed, but observed.
    """

    def __init__(self, row: PollRow, period_s: float, jitter_s: float, now: float) -> None:
        self._row = row
        self._period = period_s
        self._row_s = min(row.row_s or period_s, period_s)  # rows may be further apart: this is observed, too
        self._offset = row.lag_s + jitter_s
        self._began = now
        self._newest = self.end_at(now) - _AT_START  # the newest row received
        # Observed: by how much the newest row is older than the end of the latest one, at least; and the time from one
        # to the next, which may be many polls: funding is paid every few hours, at times that are hard to foresee.
        self._age = self._step = inf

    def end_at(self, now: float) -> float:
        """Return the end of the latest period that is due."""
        return self._latest(self._period, now)

    def row_at(self, now: float) -> float:
        """Return the end of the latest row that is due: later than that of the period, if it has several rows."""
        return self._latest(self._row_s, now)

    def _latest(self, length: float, now: float) -> float:
        return (now - self._offset) // length * length

    def left(self, end: float, now: float) -> float:
        """Return the s until the period after this one is due."""
        return end + self._period + self._offset - now

    def due(self, end: float) -> float:
        """Return when a period was due: without the jitter, and not before we began."""
        return max(end + self._row.lag_s, self._began)

    def rows(self, end: float) -> int:
        """Return how many rows to ask for: all since the newest one received, as far as an answer can hold them."""
        missing = ceil((end - self._newest) / self._row_s)
        return max(min(missing, self._row.most), 1)

    def on_answer(self, rows: int, newest: float, now: float) -> bool:
        """Take the time of the newest row in an answer to a request for so many, 0 if none is known.

        Return whether it is new.
        """
        if not self._newest < newest <= now + self._period:
            return False
        if rows < self._row.most and newest - rows * self._row_s > self._newest:
            return True  # but others are missing before it: the request waited so long that it asked for too few
        if self._age < inf:  # it is not the first
            self._step = max(min(self._step, newest - self._newest), self._row_s)
        self._age = min(self._age, now // self._row_s * self._row_s - newest)
        self._newest = newest
        return True

    def has_arrived(self, end: float) -> bool:
        """Return whether the polled period has been received, as far as can be known from the rows before it."""
        return end // self._row_s * self._row_s - self._newest < self._age + self._step - self._row_s / 2

    def give_up(self) -> None:
        """Take what has been observed for wrong: what was expected did not come."""
        self._age = inf
