"""One candle of trades, and the series of candles of one interval."""

from collections.abc import Iterable, Sequence
from typing import Any

from schemas.intervals import length_of, origin_of
from streams.output import Output
from streams.subject import Subject
from streams.trade_candles.bucket import Bucket

LATE = "late"
"""Label of trades on the book that came after the close."""

_SHARE = 1 / 60  # of an interval, after which its running candle is published again, within these bounds, µs:
_MIN_INTERVAL, _MAX_INTERVAL = 900_000, 9_900_000
_MOST_LABELS = 8
_OTHERS = "others"


class TradeCandle:
    """A candle. `bucket`: its trades, None if there are none; `is_whole`: none is known to be missing.

    `left_out`: trades of that time that it does not have, by their kind, or `LATE`.
    """

    __slots__ = ("bucket", "end", "interval", "is_whole", "left_out", "start")

    def __init__(self, interval: str, start: int, end: int) -> None:
        self.interval, self.start, self.end = interval, start, end
        self.bucket: Bucket | None = None
        self.left_out: dict[str, Bucket] = {}
        self.is_whole = True

    def add(self, bucket: Bucket) -> None:
        """Add trades."""
        if self.bucket is None:
            self.bucket = bucket.copy()
        else:
            self.bucket.merge(bucket)

    def leave_out(self, label: str, bucket: Bucket) -> None:
        """Note trades that do not belong to the candle."""
        if label not in self.left_out and len(self.left_out) >= _MOST_LABELS:
            label = _OTHERS
        if label in self.left_out:
            self.left_out[label].merge(bucket)
        else:
            self.left_out[label] = bucket.copy()

    def take(self, part: "TradeCandle") -> None:
        """Add a closed candle of a part of the time."""
        if part.bucket is not None and part.bucket.trades:
            self.add(part.bucket)
        for label, bucket in part.left_out.items():
            self.leave_out(label, bucket)
        self.is_whole = self.is_whole and part.is_whole

    def dump(self) -> list[Any]:
        """Return the state for a checkpoint."""
        left_out = {label: bucket.dump() for label, bucket in self.left_out.items()}
        return [self.interval, self.start, self.end, self.bucket and self.bucket.dump(), left_out, self.is_whole]

    @classmethod
    def load(cls, dump: list[Any]) -> "TradeCandle":
        """Return the candle of a checkpoint."""
        interval, start, end, bucket, left_out, is_whole = dump
        candle = cls(interval, start, end)
        candle.bucket, candle.is_whole = bucket and Bucket.load(bucket), is_whole
        candle.left_out = {label: Bucket.load(each) for label, each in left_out.items()}
        return candle


class Series:
    """The candles of one interval. `parts`: the longest series of which its candles are sums; the shortest has none.

    `current`: what is closed of the running candle; the shortest interval has none. `closed_to`: the end of the last
    closed candle; `final_to`: of the last one that a delisting closed, before which no other is made. `published_at`:
    of the last open one, by receipt; `published`: which change of the trades it had.
    """

    __slots__ = (
        "_every",
        "_origin",
        "closed_to",
        "current",
        "final_to",
        "interval",
        "length",
        "parts",
        "published",
        "published_at",
    )

    def __init__(self, interval: str, shorter: Sequence["Series"]) -> None:
        self.interval = interval
        self.length = length_of(interval)
        self._origin = origin_of(interval)
        self._every = min(max(_SHARE * self.length, _MIN_INTERVAL), _MAX_INTERVAL)
        self.parts = max(
            (each for each in shorter if self._is_sum_of(each)), key=lambda each: each.length, default=None
        )
        self.closed_to = self.final_to = 0
        self.current: TradeCandle | None = None
        self.published = self.published_at = 0

    def _is_sum_of(self, other: "Series") -> bool:
        return self.length % other.length == 0 and (self._origin - other._origin) % other.length == 0

    def is_due(self, now: int) -> bool:
        """Return whether the running candle may be published again; `now`: µs of receipt."""
        return now - self.published_at >= self._every

    def start_of(self, at: int) -> int:
        """Return the start of the interval that contains a time."""
        return at - (at - self._origin) % self.length

    def candle_at(self, at: int) -> TradeCandle:
        """Return an empty candle of the interval that contains a time."""
        start = self.start_of(at)
        return TradeCandle(self.interval, start, start + self.length)

    def take(self, part: TradeCandle) -> None:
        """Add a closed candle of `parts` to the running one."""
        if part.start < self.final_to:
            return
        if self.current is None:
            self.current = self.candle_at(part.start)
        self.current.take(part)

    def running(self, is_open: Iterable[TradeCandle]) -> TradeCandle | None:
        """Return the candle that is closed next, as it is now. `is_open`: the open ones of the shortest interval."""
        pieces, series = list(is_open), self
        while series.parts is not None:
            pieces += [series.current] if series.current else []
            series = series.parts
        pieces = [piece for piece in pieces if piece.start >= self.final_to]
        if not pieces:
            return None
        candle = self.candle_at(min(piece.start for piece in pieces))
        for piece in pieces:
            if candle.start <= piece.start < candle.end:
                candle.take(piece)
        return candle

    def dump(self) -> list[Any]:
        """Return the state for a checkpoint."""
        current = self.current and self.current.dump()
        return [self.interval, self.closed_to, current, self.published_at, self.published, self.final_to]

    def load(self, dump: list[Any]) -> None:
        """Restore the state of a checkpoint."""
        _, self.closed_to, current, self.published_at, self.published, *rest = dump
        self.final_to = rest[0] if rest else 0  # checkpoints of earlier versions have none
        self.current = current and TradeCandle.load(current)


def publish_candle(out: Output, subject: Subject, candle: TradeCandle, is_closed: bool) -> None:
    """Publish a candle that has trades, or a price. Its time is that of its last trade, or its end if it has none."""
    bucket = candle.bucket
    if bucket is None:
        return
    body = out.head(subject, bucket.last[0] or candle.end)
    body["origin"] = "trades"
    body["contract"] = ""
    body["interval"] = candle.interval
    body["start"] = candle.start
    body["end"] = candle.end
    body |= bucket.fields()
    body["closed"] = is_closed
    body["complete"] = candle.is_whole
    out.event("market.candles", subject.key, body)
