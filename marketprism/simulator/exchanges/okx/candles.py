"""OKX's candles (docs/protocols/okx.md §3.4): pushed at most once a second, the last time as closed."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

from marketprism.simulator.exchanges.okx import figures
from marketprism.simulator.exchanges.okx.board import OkxBoard
from marketprism.simulator.market.candles import Candle
from marketprism.simulator.market.intervals import Interval, every, months, weeks
from marketprism.simulator.server.connection import Stream
from schemas.channels import candles_of
from schemas.exchanges.okx import BARS
from schemas.intervals import end_of

_month = months()


def _quarter(at_ms: int) -> tuple[int, int]:
    start, _ = _month(at_ms)
    while datetime.fromtimestamp(start // 1000, UTC).month % 3 != 1:
        start, _ = _month(start - 1)
    end = start
    for _ in range(3):
        _, end = _month(end)
    return start, end


_OTHERS: dict[str, Interval] = {"1w": weeks(), "1M": _month, "3M": _quarter}
INTERVALS: dict[str, Interval] = {
    name: _OTHERS.get(name) or every(end_of(0, name) // 1000) for name in BARS
}  # days begin at midnight of UTC in all of the bars


class CandleStream:
    """The stream of one interval's candles of an instrument."""

    def __init__(self, board: OkxBoard, interval: str) -> None:
        self.channel = f"candle{BARS[interval]}"
        self.stream: Stream = board.add_stream(f"{self.channel}:{board.name}", candles_of(interval))
        self._instrument = board.instrument
        self._interval = INTERVALS[interval]
        self._pushed: Candle | None = None

    def current(self, now: int) -> dict[str, Any]:
        """Return the push of the running candle."""
        return self._payload_of(self._instrument.candles.current(self._interval, now))

    def due(self, now: int) -> Iterator[dict[str, Any]]:
        """Yield what is to be pushed: the candle that has ended, and the running one if it has changed."""
        if not self.stream.subscribers:
            self._pushed = None
            return
        last, current = self._pushed, self._instrument.candles.current(self._interval, now)
        if last is not None and last.start < current.start:
            yield self._payload_of(self._instrument.candles.between(last.start, last.end, now))
        if current != last:
            yield self._payload_of(current)
        self._pushed = current

    def _payload_of(self, candle: Candle) -> dict[str, Any]:
        return figures.candle(self.channel, self._instrument, candle)


def candle_streams(board: OkxBoard) -> list[CandleStream]:
    """Offer the streams of an instrument's candles."""
    return list(map(partial(CandleStream, board), BARS))
