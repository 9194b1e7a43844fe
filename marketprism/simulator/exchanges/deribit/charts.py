"""The candles that Deribit's charts show: which ones have changed since the last push."""

from marketprism.simulator.market.candles import Candle, Candles
from marketprism.simulator.market.intervals import DAY_MS, MINUTE_MS, Interval, every


def interval_of(resolution: str) -> Interval:
    """Return the interval of a resolution."""
    return every(DAY_MS if resolution == "1D" else int(resolution) * MINUTE_MS)


class Chart:
    """The candles of one instrument and resolution: minutes, or `1D`."""

    def __init__(self, candles: Candles, resolution: str) -> None:
        self._candles = candles
        self._interval = interval_of(resolution)
        self._sent: Candle | None = None

    def current(self, now_ms: int) -> Candle:
        """Return the running candle."""
        return self._candles.current(self._interval, now_ms)

    def changed(self, now_ms: int) -> list[Candle]:
        """Return what must be sent: the last update of the candle that was running, and the running one."""
        sent, current = self._sent, self.current(now_ms)
        self._sent = current
        if sent is None or sent.end != current.end:
            return [*self._completed(sent, now_ms), current]
        return [current] if current != sent else []

    def _completed(self, sent: Candle | None, now_ms: int) -> list[Candle]:
        if sent is None:
            return []
        last = self._candles.between(sent.start, sent.end, now_ms)
        return [last] if last.trades != sent.trades else []
