"""Make candles of one instrument's trades: the open one from time to time, the closed one once, by stream time.

Only the shortest interval is kept per trade, until its grace has passed. Longer candles are the sums of those that are
closed. So a trade costs the same however many intervals there are, and the sums always agree.
"""

from collections.abc import Iterable
from typing import Any

from schemas.intervals import FIXED_INTERVALS
from schemas.settings import Settings
from schemas.trade_kinds import NORMAL, is_on_book
from streams.normalize.messages import Trade
from streams.output import Output
from streams.status import MOST_AHEAD, FeedStatus
from streams.subject import Subject
from streams.trade_candles.bucket import Bucket, place_of, units_of
from streams.trade_candles.candle import LATE, Series, TradeCandle, publish_candle
from streams.trade_candles.coverage import Coverage, Hole
from streams.trade_candles.delisted import Ends
from streams.trade_candles.reconciliation import Reconciliation
from streams.trade_ids import Range, TradeIds

_MOST_OPEN = 64  # candles of the shortest interval that are open besides those of the grace: clocks differ
_MOST_CARRIED = 600  # candles of one interval without trades in a row; after a longer break none of them is published
_SECOND = 1_000_000


_NO_CANDLE = TradeCandle("", 0, 0)


class TradeCandles:
    """Candles of one instrument's trades on the book."""

    def __init__(
        self, subject: Subject, settings: Settings, status: FeedStatus, ids: TradeIds, reconciliation: Reconciliation
    ) -> None:
        self._subject = subject
        self._status = status
        self._lack = ids.lack
        self._reconciliation = reconciliation
        self._coverage = Coverage()
        self._grace = settings.candle_grace_ms * 1000
        self._carries = settings.candle_empty == "carry"
        self._series: list[Series] = []
        for name in (name for name in FIXED_INTERVALS if name in settings.candle_intervals):
            self._series.append(Series(name, self._series))
        self._open: dict[int, TradeCandle] = {}  # of the shortest interval, by start
        self._latest = _NO_CANDLE  # the one of them that took the last trade
        self._has_changed = False  # since the last tick
        self._changes = 0  # ticks before which trades were added
        self._closed_to = 0  # the end of the last closed candle of any interval; a delisting closes some before it
        self._closed_trade_at = 0  # the time of the last trade in it
        self._last_price: int | None = None  # of the last closed candle

    @property
    def is_on(self) -> bool:
        """Whether any interval is wanted."""
        return bool(self._series)

    # Trades

    def on_trade(self, trade: Trade) -> None:
        """Add a new trade to its candle."""
        price, amount = units_of(trade.price), units_of(trade.amount)
        instrument = self._subject.instrument
        # An inverse contract's value is that of its contracts: its base amount is a rounded quotient.
        value = price * amount
        if instrument.inverse:
            value = units_of(trade.exchange_amount or trade.amount) * units_of(instrument.contract_size)
        self._has_changed = True
        candle = self._latest
        if candle.start <= trade.timestamp < candle.end and trade.kind == NORMAL and candle.bucket is not None:
            candle.bucket.add(trade, price, amount, value)
            return
        bucket = Bucket(price, place_of(trade))
        bucket.add(trade, price, amount, value)
        self._add(trade, bucket)

    def _add(self, trade: Trade, bucket: Bucket) -> None:
        """Add a trade as a bucket of its own."""
        start = self._series[0].start_of(trade.timestamp)
        is_counted = is_on_book(trade.kind)
        if start < self._closed_to:
            if is_counted:
                self._on_late(start, bucket)
            return
        if (candle := self._open.get(start)) is None:
            candle = self._open[start] = self._series[0].candle_at(start)
        if is_counted:
            candle.add(bucket)
            self._latest = candle
        else:
            candle.leave_out(trade.kind, bucket)
        if len(self._open) > _MOST_OPEN + self._grace // self._series[0].length:
            self._drop(max(self._open))  # what is too far ahead gives way

    def _drop(self, start: int) -> None:
        dropped = self._open.pop(start)
        self._latest = _NO_CANDLE
        if dropped.bucket is not None:
            self._reconciliation.late += dropped.bucket.trades
            self._coverage.add(Hole(start, dropped.end - 1))  # a later trade may open the candle again

    def _on_late(self, start: int, bucket: Bucket) -> None:
        """Count a trade of a closed candle. Longer ones that are still open will lack it, too."""
        self._reconciliation.on_late(start, bucket)
        self._coverage.on_missing(bucket.last[0])
        for series in self._series:
            current, parts = series.current, series.parts
            if current and current.start <= start < current.end and parts and start < parts.closed_to:
                current.leave_out(LATE, bucket)

    # What is missing

    def on_outage(self, out: Output, channels: Iterable[str]) -> None:
        """Note that nobody delivers these channels."""
        if self._series and "trades" in channels:
            self._coverage.cut(min(self._last_trade_at(), self._now(out)), out.now)

    def on_return(self, out: Output) -> None:
        """Note that trades are delivered again, from now on by the exchange's clock as far as it is known."""
        self._coverage.resume(self._now(out) + self._status.round_trip)

    def on_missing(self, out: Output, missing: Range | None) -> None:
        """Note that trades since the last one are missing. `missing`: their numbers, if known."""
        now = self._now(out)
        self._coverage.add(Hole(min(self._last_trade_at(), now), now + self._status.round_trip, missing))

    def _last_trade_at(self) -> int:
        stamps = [candle.bucket.last[0] for candle in self._open.values() if candle.bucket]
        return max(stamps, default=self._closed_trade_at)

    def _now(self, out: Output) -> int:
        return out.now + self._status.offset

    # Time

    def on_tick(self, out: Output) -> None:
        """Close the candles whose grace has passed, and publish the running ones that are due."""
        if not self._series:
            return
        coverage = self._coverage
        if coverage.cut_from is not None and self._status.health_of("trades").last_message_at > coverage.cut_at:
            self.on_return(out)
        now = self._now(out)
        self._advance(out, self._series[0].start_of(now - self._grace))
        for start in [start for start in self._open if start > now + MOST_AHEAD]:
            self._drop(start)
        self._publish_running(out)
        self._reconciliation.on_tick(out)

    def close_all(self, out: Output) -> None:
        """Close what is open, before its end too: the instrument is gone. If it is listed again, candles go on."""
        if not self._series:
            return
        closed_to = self._closed_to
        if self._open:
            closed_to = max(self._open) + self._series[0].length
            self._advance(out, closed_to, carries=False)
        for series in self._series:  # shorter ones first: the longer ones take them
            if (current := series.current) is not None:
                series.current = None
                self._close(out, series, current)
            series.final_to = max(series.final_to, series.closed_to)
        self._closed_to = closed_to  # trades before the ends of the longer ones are not late
        self._reconciliation.close_all(out)

    def final_ends(self) -> Ends:
        """Return the end of the last candle of each interval that a delisting has closed."""
        return {series.interval: series.final_to for series in self._series if series.final_to}

    def go_on(self, ends: Ends) -> None:
        """Make no candle of a time that an earlier delisting has closed."""
        for series in self._series:
            series.final_to = ends.get(series.interval, 0)
        if self._series:
            self._closed_to = self._series[0].final_to

    def _advance(self, out: Output, horizon: int, carries: bool = True) -> None:
        """Close what ends by a time."""
        for start in sorted(self._open):
            if start >= horizon:
                break
            self._close_until(out, start, self._carries)
            candle, self._latest = self._open.pop(start), _NO_CANDLE
            self._close(out, self._series[0], candle)
        self._close_until(out, horizon, self._carries and carries)
        self._coverage.settle(horizon, self._lack)
        for theirs in self._reconciliation.overdue(horizon):
            if not self._coverage.is_begun:  # trades are not received at all
                self._reconciliation.drop(theirs)
                continue
            candle = TradeCandle(theirs.interval, theirs.start, theirs.end)
            candle.is_whole = self._coverage.is_whole(candle.start, candle.end, self._lack)
            self._reconciliation.on_ours(out, candle)

    def _close_until(self, out: Output, until: int, carries: bool) -> None:
        """Close the running candles that end by a time, and carry the last price to that time."""
        for series in self._series:
            current = series.current
            if current is not None and current.end <= until:
                series.current = None
                self._close(out, series, current)
            if carries and self._last_price is not None and series.closed_to:
                self._carry(out, series, self._last_price, until)

    def _carry(self, out: Output, series: Series, price: int, until: int) -> None:
        missing = (until - series.closed_to) // series.length
        if missing > _MOST_CARRIED:
            series.closed_to += missing * series.length
            return
        for _ in range(missing):
            candle = series.candle_at(series.closed_to)
            candle.bucket = Bucket(price)
            self._close(out, series, candle)

    def _close(self, out: Output, series: Series, candle: TradeCandle) -> None:
        series.closed_to = candle.end
        self._closed_to = max(self._closed_to, candle.end)
        candle.is_whole = candle.is_whole and self._coverage.is_whole(candle.start, candle.end, self._lack)
        if candle.bucket is None and self._carries and self._last_price is not None:
            candle.bucket = Bucket(self._last_price)
        if candle.bucket is not None:
            self._last_price = candle.bucket.close
            self._closed_trade_at = max(self._closed_trade_at, candle.bucket.last[0])
            publish_candle(out, self._subject, candle, is_closed=True)
        if candle.left_out or (candle.bucket and candle.bucket.trades):
            for longer in self._series:
                if longer.parts is series:
                    longer.take(candle)
        self._reconciliation.on_ours(out, candle)

    def _publish_running(self, out: Output) -> None:
        self._changes += self._has_changed
        self._has_changed = False
        for series in self._series:
            if series.length > _SECOND and series.published != self._changes and series.is_due(out.now):
                candle = series.running(self._open.values())
                series.published, series.published_at = self._changes, out.now
                if candle is not None and candle.bucket is not None:
                    whole = self._coverage.is_whole(candle.start, candle.end, self._lack)
                    candle.is_whole = candle.is_whole and whole
                    publish_candle(out, self._subject, candle, is_closed=False)

    # Checkpoint

    def shift(self, step: int) -> None:
        """Move all remembered times of receipt by `step` µs: our clock was set. Candles are in the exchange's time."""
        self._coverage.shift(step)
        for series in self._series:
            series.published_at += step

    def dump(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {
            "series": [series.dump() for series in self._series],
            "open": [candle.dump() for candle in self._open.values()],
            "coverage": self._coverage.dump(),
            "closed_to": self._closed_to,
            "closed_trade_at": self._closed_trade_at,
            "last_price": None if self._last_price is None else str(self._last_price),
            "changes": [self._has_changed, self._changes],
        }

    def load(self, dump: dict[str, Any]) -> None:
        """Restore the state of a checkpoint. If the intervals have changed since, candles begin anew."""
        if [series.interval for series in self._series] != [series[0] for series in dump["series"]]:
            return
        for series, state in zip(self._series, dump["series"], strict=True):
            series.load(state)
        candles = map(TradeCandle.load, dump["open"])
        self._open = {candle.start: candle for candle in candles}
        self._coverage.load(dump["coverage"])
        self._closed_to, self._closed_trade_at = dump["closed_to"], dump["closed_trade_at"]
        self._last_price = None if dump["last_price"] is None else int(dump["last_price"])
        self._has_changed, self._changes = dump["changes"]
