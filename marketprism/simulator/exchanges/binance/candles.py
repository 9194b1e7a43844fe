"""The candles that the simulated Binance sends: the running one again and again, and each once after its end."""

from marketprism.simulator.market.candles import Candle, Candles
from marketprism.simulator.market.intervals import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Interval, every, months, weeks

INTERVALS: dict[str, Interval] = {
    "1s": every(SECOND_MS),
    **{f"{count}m": every(count * MINUTE_MS) for count in (1, 3, 5, 15, 30)},
    **{f"{count}h": every(count * HOUR_MS) for count in (1, 2, 4, 6, 8, 12)},
    **{f"{count}d": every(count * DAY_MS) for count in (1, 3)},
    "1w": weeks(),
    "1M": months(),
}
_FORGOTTEN_MS = 10_000  # a candle that ended longer ago is not sent any more: nobody has been subscribed


class RunningCandles:
    """The candles of one stream. `due` returns those to be sent now."""

    def __init__(self, candles: Candles, interval: Interval) -> None:
        self._candles = candles
        self._interval = interval
        self._start = 0  # of the last candle that was sent

    def due(self, now: int) -> list[Candle]:
        """Return the candles that ended since the last call, and the running one. `now`: ms."""
        start, due = self._interval(now)[0], []
        last = self._start if start - self._interval(self._start)[1] <= _FORGOTTEN_MS else start
        while last < start:
            _, end = self._interval(last)
            due.append(self._candles.between(last, end, now))
            last = end
        self._start = start
        return [*due, self._candles.current(self._interval, now)]
