"""Statistics of the last 24 hours, as tickers show them."""

from marketprism.simulator.market.candles import Candle, Candles
from marketprism.simulator.market.intervals import DAY_MS, MINUTE_MS


class Day:
    """The last 24 hours of one instrument: trades of the simulation and, before its start, those of the past."""

    def __init__(self, candles: Candles) -> None:
        self._candles = candles
        self._last: tuple[tuple[int, int], Candle] | None = None

    def at(self, now_ms: int) -> Candle:
        """Return the last 24 hours, which begin at a full minute, as a candle; `close` is the last price.

        The same is returned until a minute begins or a trade occurs.
        """
        key = (now_ms // MINUTE_MS, self._candles.trades)
        if self._last is None or self._last[0] != key:
            start, end = key[0] * MINUTE_MS - DAY_MS, (key[0] + 1) * MINUTE_MS
            self._last = key, self._candles.between(start, end, now_ms)
        return self._last[1]
