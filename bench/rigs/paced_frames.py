"""Frames of two instruments on Binance spot and OKX, of which some make an arbitrage appear or disappear.

In turn of the instruments, and of each: eight BBOs, a trade, a change deep in the book. One instrument on each exchange
*moves*: now and then its BBO goes up by more than both fees, or back again. What can be bought and sold then is always
the same, so that an opportunity is opened and closed and never has a new peak: one signal for each such BBO.
"""

import random
import time
from typing import Any, NamedTuple

import orjson

MOVING = {"BTC-USDT": "okx", "ETH-USDT": "binance"}  # the exchange of each symbol's moving instrument
_CALM, _MOVED = ("49999.50", "50000.50"), ("50249.50", "50250.50")  # bid and ask; fees are 20 basis points in all
_MOVED_AMOUNT = "0.50"  # less than any other
_LEVELS = 50  # a side
_KINDS = 10  # frames until an instrument has sent each kind

Level = list[str]
BIDS: list[Level] = [[f"{49_999.5 - rank:.2f}", "2.00"] for rank in range(_LEVELS)]
ASKS: list[Level] = [[f"{50_000.5 + rank:.2f}", "2.00"] for rank in range(_LEVELS)]


class Top(NamedTuple):
    bid: str
    ask: str
    amount: str


class Instrument:
    """BTC-USDT or ETH-USDT on one exchange. `sequence`: of its last frame; `book`: of its last change of the book."""

    def __init__(self, base: str, moves: bool) -> None:
        self.base, self.moves = base, moves
        self.moved = False
        self.sequence = self.book = 1
        self._number = 0
        self._chance = random.Random(base)

    def frame(self, chance_of_move: float) -> bytes:
        kind, self._number = self._number % _KINDS, self._number + 1
        self.sequence += 1
        if kind == _KINDS - 1:
            return self._depth()
        if kind == _KINDS - 2:
            return self._trade()
        if self.moves and self._chance.random() < chance_of_move:
            self.moved = not self.moved
        amount = _MOVED_AMOUNT if self.moved else f"{self._chance.randint(100, 999) / 100:.2f}"
        return self._bbo(Top(*(_MOVED if self.moved else _CALM), amount))

    def _depth(self) -> bytes:
        previous, self.book = self.book, self.sequence
        changes = [[f"{49_000 + self._chance.randint(1, 900) * 0.5:.2f}", "3.00"] for _ in range(8)]
        return self._book(previous, changes)

    def _bbo(self, top: Top) -> bytes:
        raise NotImplementedError

    def _trade(self) -> bytes:
        raise NotImplementedError

    def _book(self, previous: int, bids: list[Level]) -> bytes:
        raise NotImplementedError

    def snapshot(self) -> Any:
        """The whole book, as the exchange tells it."""
        raise NotImplementedError


class BinanceInstrument(Instrument):
    def _bbo(self, top: Top) -> bytes:
        return self._frame("bookTicker", u=self.sequence, b=top.bid, B=top.amount, a=top.ask, A=top.amount)

    def _trade(self) -> bytes:
        price, now = _CALM[0], _now()
        return self._frame("trade", e="trade", E=now, t=self.sequence, p=price, q="0.10", T=now, m=True, M=True)

    def _book(self, previous: int, bids: list[Level]) -> bytes:
        return self._frame("depth@100ms", e="depthUpdate", E=_now(), U=previous + 1, u=self.book, b=bids, a=[])

    def _frame(self, stream: str, **body: Any) -> bytes:
        return orjson.dumps({"stream": f"{self.base.lower()}usdt@{stream}", "data": body | {"s": f"{self.base}USDT"}})

    def snapshot(self) -> dict[str, Any]:
        return {"lastUpdateId": self.book, "bids": BIDS, "asks": ASKS}


class OkxInstrument(Instrument):
    def _bbo(self, top: Top) -> bytes:
        sides = {"asks": _okx([[top.ask, top.amount]]), "bids": _okx([[top.bid, top.amount]])}
        return self._frame("bbo-tbt", sides | {"ts": str(_now()), "seqId": self.sequence})

    def _trade(self) -> bytes:
        row = {"instId": f"{self.base}-USDT", "tradeId": str(self.sequence), "px": _CALM[0], "sz": "0.10"}
        return self._frame("trades", row | {"side": "buy", "ts": str(_now()), "count": "1"})

    def _book(self, previous: int, bids: list[Level]) -> bytes:
        return self._frame("books", self._row(previous, bids, []), action="update")

    def snapshot(self) -> bytes:
        return self._frame("books", self._row(-1, BIDS, ASKS), action="snapshot")

    def _row(self, previous: int, bids: list[Level], asks: list[Level]) -> dict[str, Any]:
        ids = {"checksum": 0, "prevSeqId": previous, "seqId": self.book}
        return {"asks": _okx(asks), "bids": _okx(bids), "ts": str(_now())} | ids

    def _frame(self, channel: str, row: dict[str, Any], **more: Any) -> bytes:
        return orjson.dumps({"arg": {"channel": channel, "instId": f"{self.base}-USDT"}, **more, "data": [row]})


def _okx(levels: list[Level]) -> list[Level]:
    return [[*level, "0", "1"] for level in levels]


def _now() -> int:
    return time.time_ns() // 1_000_000
