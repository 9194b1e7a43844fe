"""Compare each closed candle of the trades with the exchange's own: the topic `market.quality`.

Whichever is closed first waits for the other. If the exchange has a candle, and our time for it has passed without a
trade, ours counts as empty, unless it may have been forgotten. A candle that differs is held for a moment: late trades
may explain it.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from schemas.intervals import length_of, origin_of
from streams.normalize.messages import Candle
from streams.output import Output
from streams.quality import publish_quality
from streams.subject import Subject
from streams.trade_candles.bucket import Bucket
from streams.trade_candles.candle import LATE, TradeCandle
from streams.trade_candles.causes import cause_of, differing, figures_of

WAIT = 600_000_000  # µs for which ours waits: HTX and Deribit close a candle when the next one begins
HOLD = 10_000_000  # µs for which a difference is held
_MOST = 128  # candles that wait, on either side, and differences that are held

Key = tuple[str, int]  # interval and start


class Held(NamedTuple):
    """A difference that is not reported yet. `since`: µs of receipt."""

    since: int
    ours: TradeCandle
    theirs: Candle


class Reconciliation:
    """Running comparison of one instrument's candles. `late`: trades since the last report that no candle has taken."""

    def __init__(self, subject: Subject, intervals: Iterable[str]) -> None:
        self.late = 0
        self._subject = subject
        self._counts = {interval: [0, 0] for interval in sorted(intervals, key=length_of)}  # agreed and differed
        self._followed: set[str] = set()  # intervals of which the exchange sends candles
        self._ours: dict[Key, tuple[int, TradeCandle]] = {}
        self._theirs: dict[Key, Candle] = {}
        self._forgotten: dict[str, int] = {}  # by interval, the last start of ours that do not wait any more
        self._held: list[Held] = []

    # Candles

    def follow(self, interval: str) -> None:
        """Note that the exchange sends candles of an interval."""
        if interval in self._counts:
            self._followed.add(interval)

    def on_theirs(self, out: Output, theirs: Candle) -> None:
        """Take a closed candle of the exchange. One that begins when none of ours can is not compared."""
        interval, start = theirs.interval, theirs.start
        if interval not in self._followed or (start - origin_of(interval)) % length_of(interval):
            return
        waiting = self._ours.pop((interval, start), None)
        if waiting is not None:
            self._compare(out, waiting[1], theirs)
            return
        if start <= self._forgotten.get(interval, -1):  # nobody knows whether ours was empty
            return
        self._theirs[interval, start] = theirs
        if len(self._theirs) > _MOST:
            del self._theirs[next(iter(self._theirs))]

    def on_ours(self, out: Output, ours: TradeCandle) -> None:
        """Take a closed candle of the trades, which may be empty."""
        if ours.interval not in self._followed:
            self._forget((ours.interval, ours.start))
            return
        theirs = self._theirs.pop((ours.interval, ours.start), None)
        if theirs is not None:
            self._compare(out, ours, theirs)
            return
        self._ours[ours.interval, ours.start] = out.now, ours
        if len(self._ours) > _MOST:
            self._forget(next(iter(self._ours)))

    def _forget(self, key: Key) -> None:
        """Let one of ours wait no longer. If the exchange's comes after all, it is not compared with an empty one."""
        self._ours.pop(key, None)
        interval, start = key
        self._forgotten[interval] = max(start, self._forgotten.get(interval, -1))

    def overdue(self, horizon: int) -> list[Candle]:
        """Return the exchange's candles that end by a time at which ours are closed. Of these there is none."""
        return [theirs for theirs in self._theirs.values() if theirs.end <= horizon]

    def drop(self, theirs: Candle) -> None:
        """Forget a candle of the exchange: no trades are received, so that there is nothing to compare."""
        self._theirs.pop((theirs.interval, theirs.start), None)

    def on_late(self, at: int, bucket: Bucket) -> None:
        """Take trades of the time `at` that came after their candle was closed."""
        self.late += bucket.trades
        candles = [candle for _, candle in self._ours.values()] + [held.ours for held in self._held]
        for candle in candles:
            if candle.start <= at < candle.end:
                candle.leave_out(LATE, bucket)

    def _compare(self, out: Output, ours: TradeCandle, theirs: Candle) -> None:
        if differing(figures_of(ours.bucket), theirs, self._subject.instrument.inverse):
            self._held.append(Held(out.now, ours, theirs))
            if len(self._held) > _MOST:
                self._report(out, self._held.pop(0))
        elif ours.is_whole and ours.bucket is not None:
            self._counts[ours.interval][0] += 1

    # Events

    def on_tick(self, out: Output) -> None:
        """Report the differences that were held for long enough, and forget candles that have waited too long."""
        while self._held and self._held[0].since <= out.now - HOLD:
            self._report(out, self._held.pop(0))
        while self._ours and next(iter(self._ours.values()))[0] <= out.now - WAIT:
            self._forget(next(iter(self._ours)))

    def close_all(self, out: Output) -> None:
        """Report all differences: no trade will follow."""
        while self._held:
            self._report(out, self._held.pop(0))

    def _report(self, out: Output, held: Held) -> None:
        ours, theirs = held.ours, held.theirs
        figures = figures_of(ours.bucket)
        is_inverse = self._subject.instrument.inverse
        names, cause = differing(figures, theirs, is_inverse), cause_of(ours, theirs, is_inverse)
        self._counts[ours.interval][1] += ours.is_whole
        publish_quality(
            out,
            self._subject,
            "candle",
            "difference",
            interval=ours.interval,
            start=ours.start,
            cause=cause,
            fields=names,
            theirs=[str(getattr(theirs, name)) for name in names],
            ours=[str(figures[name]) for name in names],
        )

    def report(self, out: Output) -> None:
        """Publish the counts since the last report. The shortest interval's has the late trades."""
        late, self.late = self.late, 0
        for interval, (agreed, differed) in self._counts.items():
            if agreed or differed or late:
                counts = {"compared": agreed + differed, "agreed": agreed, "differed": differed}
                publish_quality(out, self._subject, "candle", "report", interval=interval, late=late, **counts)
            self._counts[interval], late = [0, 0], 0

    # Checkpoint

    def shift(self, step: int) -> None:
        """Move all remembered times of receipt by `step` µs: our clock was set."""
        self._ours = {key: (since + step, candle) for key, (since, candle) in self._ours.items()}
        self._held = [held._replace(since=held.since + step) for held in self._held]

    def dump(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {
            "late": self.late,
            "counts": self._counts,
            "followed": sorted(self._followed),
            "forgotten": self._forgotten,
            "ours": [[since, candle.dump()] for since, candle in self._ours.values()],
            "theirs": msgspec.to_builtins(list(self._theirs.values())),
            "held": [[each.since, each.ours.dump(), msgspec.to_builtins(each.theirs)] for each in self._held],
        }

    def load(self, dump: dict[str, Any]) -> None:
        """Restore the state of a checkpoint. If the intervals have changed since, comparisons begin anew."""
        if list(dump["counts"]) != list(self._counts):
            return
        self.late, self._counts, self._followed = dump["late"], dump["counts"], set(dump["followed"])
        self._forgotten = dump.get("forgotten", {})  # checkpoints of earlier versions have none
        ours = [(since, TradeCandle.load(state)) for since, state in dump["ours"]]
        self._ours = {(candle.interval, candle.start): (since, candle) for since, candle in ours}
        theirs = msgspec.convert(dump["theirs"], list[Candle])
        self._theirs = {(candle.interval, candle.start): candle for candle in theirs}
        self._held = [
            Held(since, TradeCandle.load(ours), msgspec.convert(theirs, Candle)) for since, ours, theirs in dump["held"]
        ]
