"""Frames of two instruments on Binance spot and OKX, some of which open or close an arbitrage.

The instruments take turns, and each sends eight BBOs, a trade, and a change deep in the book. One instrument on each
exchange *moves*: from time to time its BBO rises by more than both fees, or returns. The amount that can be traded then
is always the same, so that an opportunity opens and closes without a new peak: every such BBO causes one signal.
"""

import random
import time
from typing import Any, NamedTuple

import orjson

from marketprism.simulator.exchanges.binance import frames as binance
from marketprism.simulator.exchanges.okx import frames as okx

MOVING = {"BTC-USDT": "okx", "ETH-USDT": "binance"}  # the exchange of each symbol's moving instrument
_CALM, _MOVED = ("49999.50", "50000.50"), ("50249.50", "50250.50")  # bid and ask; both fees together are 20 bps
_MOVED_AMOUNT = "0.50"  # smaller than any other amount
_LEVELS = 50  # a side
_CYCLE = 10  # frames in which an instrument sends each kind of frame

Level = list[str]
BIDS: list[Level] = [[f"{49_999.5 - rank:.2f}", "2.00"] for rank in range(_LEVELS)]
ASKS: list[Level] = [[f"{50_000.5 + rank:.2f}", "2.00"] for rank in range(_LEVELS)]


class Top(NamedTuple):
    """Best prices, and the amount that both have."""

    bid: str
    ask: str
    amount: str


class Instrument:
    """BTC-USDT or ETH-USDT on one exchange. `sequence`: id of its last frame; `book`: id of its last book update."""

    def __init__(self, base: str, moves: bool) -> None:
        self.base, self.moves = base, moves
        self.moved = False
        self.sequence = self.book = 1
        self._number = 0
        self._random = random.Random(base)

    def frame(self, move_probability: float) -> bytes:
        """Return the next frame. A BBO of a moving instrument moves with the given probability."""
        place, self._number = self._number % _CYCLE, self._number + 1
        self.sequence += 1
        if place == _CYCLE - 1:
            return self._depth()
        if place == _CYCLE - 2:
            return self._trade()
        if self.moves and self._random.random() < move_probability:
            self.moved = not self.moved
        amount = _MOVED_AMOUNT if self.moved else f"{self._random.randint(100, 999) / 100:.2f}"
        return self._bbo(Top(*(_MOVED if self.moved else _CALM), amount))

    def _depth(self) -> bytes:
        previous, self.book = self.book, self.sequence
        changes = [[f"{49_000 + self._random.randint(1, 900) * 0.5:.2f}", "3.00"] for _ in range(8)]
        return self._book(previous, changes)

    def _bbo(self, top: Top) -> bytes:
        raise NotImplementedError

    def _trade(self) -> bytes:
        raise NotImplementedError

    def _book(self, previous: int, bids: list[Level]) -> bytes:
        raise NotImplementedError

    def snapshot(self) -> Any:
        """Return the whole book as the exchange sends it."""
        raise NotImplementedError


class BinanceInstrument(Instrument):
    """An instrument on Binance spot, with its snapshot from REST."""

    def _bbo(self, top: Top) -> bytes:
        bid, ask = (top.bid, top.amount), (top.ask, top.amount)
        return self._frame("bookTicker", binance.spot_quote(f"{self.base}USDT", self.sequence, bid, ask))

    def _trade(self) -> bytes:
        trade = binance.spot_trade(f"{self.base}USDT", self.sequence, _CALM[0], "0.10", "sell", _now_ms())
        return self._frame("trade", trade)

    def _book(self, previous: int, bids: list[Level]) -> bytes:
        update = binance.spot_depth(f"{self.base}USDT", previous + 1, self.book, bids, [], _now_ms())
        return self._frame("depth@100ms", update)

    def _frame(self, stream: str, data: dict[str, Any]) -> bytes:
        return orjson.dumps(binance.combined(f"{self.base.lower()}usdt@{stream}", data))

    def snapshot(self) -> dict[str, Any]:
        return binance.snapshot(self.book, BIDS, ASKS)


class OkxInstrument(Instrument):
    """An instrument on OKX, with its snapshot from the WebSocket."""

    def _bbo(self, top: Top) -> bytes:
        bids, asks = [okx.level(top.bid, top.amount)], [okx.level(top.ask, top.amount)]
        return orjson.dumps(okx.best_levels("bbo-tbt", f"{self.base}-USDT", bids, asks, self.sequence, _now_ms()))

    def _trade(self) -> bytes:
        value = self.sequence, _CALM[0], "0.10", "buy"
        return orjson.dumps(okx.aggregated_trade(f"{self.base}-USDT", *value, self.sequence, _now_ms()))

    def _book(self, previous: int, bids: list[Level]) -> bytes:
        return self._push("update", bids, [], previous)

    def snapshot(self) -> bytes:
        return self._push("snapshot", BIDS, ASKS, -1)

    def _push(self, action: str, bids: list[Level], asks: list[Level], previous: int) -> bytes:
        bids, asks = ([okx.level(price, amount) for price, amount in side] for side in (bids, asks))
        return orjson.dumps(okx.book(f"{self.base}-USDT", action, bids, asks, previous, self.book, _now_ms()))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
