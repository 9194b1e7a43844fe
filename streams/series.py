"""Publish each period of a polled series once: ratios and settled funding rates. Answers overlap, and may repeat."""

from streams.normalize.messages import SeriesRow
from streams.output import Output
from streams.status import FeedStatus
from streams.subject import Subject


class SeriesHandler:
    """Publishes one instrument's series in the order of their periods. Of an answer that goes back, only what is new.

    Periods that a series has passed are not published later: a poll's answer holds all that were missed.
    """

    __slots__ = ("_latest", "_status", "_subject")

    def __init__(self, subject: Subject, status: FeedStatus) -> None:
        self._subject = subject
        self._status = status
        self._latest: dict[str, int] = {}  # timestamps, by topic and series

    def on_row(self, out: Output, row: SeriesRow) -> None:
        """Publish a row, unless its period has been published. An answer's rows come oldest first."""
        self._status.check_not_ahead(out.now, row.timestamp)
        series = f"{row.topic} {row.series}"
        if row.timestamp <= self._latest.get(series, 0):
            return
        self._latest[series] = row.timestamp
        out.event(row.topic, self._subject.key, out.head(self._subject, row.timestamp) | row.fields)

    def dump(self) -> dict[str, int]:
        """Return the state for a checkpoint."""
        return self._latest

    def load(self, dump: dict[str, int]) -> None:
        """Restore the state of a checkpoint."""
        self._latest = dump
