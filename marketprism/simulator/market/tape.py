"""The tape of one instrument: its trades since the start, and made-up ones before it, which agree with the candles."""

from collections import deque
from dataclasses import dataclass
from typing import Literal

from marketprism.simulator.market.past import Past

_KEPT = 200_000  # trades since the start


@dataclass(frozen=True, slots=True)
class TapeTrade:
    """A trade in ticks and lots. `number`: counted from the epoch, without holes; `side` is that of the taker."""

    number: int
    id: int
    at_ms: int
    price: int
    lots: int
    side: Literal["buy", "sell"]


class Tape:
    """The trades of all time by their numbers. Their ids are as consecutive as the numbers."""

    def __init__(self, past: Past, first_id: int, start_ms: int) -> None:
        """`first_id`: of the first trade from `start_ms` on."""
        self._past = past
        self._start_ms = start_ms // 1000 * 1000
        self._before = past.trades(self._start_ms)  # number of the last trade before the start
        self._offset = first_id - 1 - self._before
        self._recent: deque[TapeTrade] = deque(maxlen=_KEPT)

    @property
    def last(self) -> int:
        """The number of the latest trade."""
        return self._recent[-1].number if self._recent else self._before

    def number_of(self, trade_id: int) -> int:
        """Return the number of a trade, given its id."""
        return trade_id - self._offset

    def on_trade(self, trade_id: int, price: int, lots: int, side: Literal["buy", "sell"], now_ms: int) -> None:
        """Take the next trade."""
        self._recent.append(TapeTrade(self.number_of(trade_id), trade_id, now_ms, price, lots, side))

    def first_at(self, at_ms: int) -> int:
        """Return the number of the first trade at or after a time; of the next one if there is none yet."""
        if at_ms < self._start_ms:
            return self._past.trades(at_ms) + 1
        later = (trade.number for trade in self._recent if trade.at_ms >= at_ms)
        return next(later, self.last + 1)

    def trades(self, first: int, count: int) -> list[TapeTrade]:
        """Return up to `count` trades from a number on, oldest first."""
        found: list[TapeTrade] = []
        begin = max(first, 1)
        at_ms = 0
        for number in range(begin, min(begin + count, self._before + 1)):
            at_ms = self._past.time_of(number - 1, at_ms)
            side, lots = self._past.amount_of(number - 1)
            price = self._past.price(at_ms)
            found.append(TapeTrade(number, number + self._offset, at_ms, price, lots, side))
        if self._recent and begin + count > self._before + 1:
            at = max(begin, self._before + 1) - self._recent[0].number
            end = at + count - len(found)
            found += [self._recent[index] for index in range(max(at, 0), min(end, len(self._recent)))]
        return found

    def latest(self, count: int) -> list[TapeTrade]:
        """Return the latest trades, oldest first."""
        return self.trades(self.last - count + 1, count)
