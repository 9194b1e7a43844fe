"""Publish the exchange's candles of one instrument: the open one at most once a second, the closed one once.

HTX and Deribit do not mark the last update of a candle. There, it is closed when the next candle begins.
"""

from typing import Any

import msgspec

from streams.normalize.messages import Candle
from streams.output import Output
from streams.status import FeedStatus
from streams.subject import Subject
from streams.trade_candles.reconciliation import Reconciliation

MIN_INTERVAL = 900_000  # µs between two events of an open candle
_FIELDS = tuple(name for name in Candle.__struct_fields__ if name not in ("channel", "timestamp", "closed"))


def publish_exchange_candle(
    out: Output, subject: Subject, candle: Candle, timestamp: int, is_closed: bool, is_complete: bool
) -> None:
    """Publish a candle of the exchange. `timestamp`: of the event, µs."""
    fields = {name: getattr(candle, name) for name in _FIELDS}
    body = out.head(subject, timestamp) | {"origin": "exchange"} | fields
    out.event("market.candles", subject.key, body | {"closed": is_closed, "complete": is_complete})


class _Series:
    """The latest candle of one channel. `pending`: it was not published since it changed.

    `closed_start`: the start of the last candle that was closed. `is_cut_off`: the latest one may lack updates.
    """

    __slots__ = ("closed_start", "is_cut_off", "latest", "pending", "published_at")

    def __init__(self) -> None:
        self.latest: Candle | None = None
        self.pending = self.is_cut_off = False
        self.published_at = 0
        self.closed_start = -1

    def dump(self) -> list[Any]:
        latest = self.latest and msgspec.to_builtins(self.latest)
        return [latest, self.pending, self.is_cut_off, self.published_at, self.closed_start]

    def load(self, dump: list[Any]) -> None:
        latest, self.pending, self.is_cut_off, self.published_at, self.closed_start = dump
        self.latest = latest and msgspec.convert(latest, Candle)


class CandleHandler:
    """Publishes one instrument's candles, by channel, and passes the closed ones on to be compared with ours."""

    __slots__ = ("_reconciliation", "_series", "_status", "_subject")

    def __init__(self, subject: Subject, status: FeedStatus, reconciliation: Reconciliation) -> None:
        self._subject = subject
        self._status = status
        self._reconciliation = reconciliation
        self._series: dict[str, _Series] = {}

    def on_candle(self, out: Output, candle: Candle) -> None:
        """Take an update. One of a candle that is closed already, or older, is a duplicate."""
        self._status.check_not_ahead(out.now, candle.start)
        health = self._status.health_of(candle.channel)
        health.on_message(out.now, candle.timestamp)
        if candle.channel not in self._series:
            self._begin(candle)
        series = self._series[candle.channel]
        latest = series.latest
        if candle.start <= series.closed_start or (latest is not None and candle.start < latest.start):
            health.repeated += 1
            return
        if latest is not None and candle.start > latest.start and latest.start > series.closed_start:
            # Where the exchange marks the last update, it is missing.
            is_last = latest.closed is None and candle.start == latest.end and not series.is_cut_off
            self._close(out, series, latest, is_complete=is_last)
        series.latest, series.pending, series.is_cut_off = candle, True, False  # each update has the whole candle
        if candle.closed:
            self._close(out, series, candle, is_complete=True)
        elif out.now - series.published_at >= MIN_INTERVAL:
            self._publish(out, series, candle, is_closed=False, is_complete=True)

    def _begin(self, candle: Candle) -> None:
        self._series[candle.channel] = _Series()
        if not candle.contract:  # a continuous contract's trades are those of another instrument
            self._reconciliation.follow(candle.interval)

    def _close(self, out: Output, series: _Series, candle: Candle, is_complete: bool) -> None:
        series.closed_start = candle.start
        self._publish(out, series, candle, is_closed=True, is_complete=is_complete)
        if is_complete and not candle.contract:
            self._reconciliation.on_theirs(out, candle)

    def _publish(self, out: Output, series: _Series, candle: Candle, is_closed: bool, is_complete: bool) -> None:
        series.published_at, series.pending = out.now, False
        publish_exchange_candle(out, self._subject, candle, candle.timestamp, is_closed, is_complete)

    def on_outage(self, channels: Any) -> None:
        """Note that nobody delivers these channels: the last updates of their open candles may be missing."""
        for channel in channels:
            if channel in self._series:
                self._series[channel].is_cut_off = True

    def on_tick(self, out: Output) -> None:
        """Publish the updates that came too soon after another, and were not followed by one."""
        for series in self._series.values():
            if series.pending and series.latest is not None and out.now - series.published_at >= MIN_INTERVAL:
                self._publish(out, series, series.latest, is_closed=False, is_complete=True)

    def shift(self, step: int) -> None:
        """Move all remembered times by `step` µs: our clock was set."""
        for series in self._series.values():
            series.published_at += step

    def dump(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {channel: series.dump() for channel, series in self._series.items()}

    def load(self, dump: dict[str, Any]) -> None:
        """Restore the state of a checkpoint."""
        for channel, state in dump.items():
            self._series.setdefault(channel, _Series()).load(state)
