"""Which trades of a derivative are liquidations, and the orders by which positions were closed."""

from collections import deque
from dataclasses import dataclass
from typing import Literal

from marketprism.simulator.market.draws import draw
from marketprism.simulator.market.listings import Listing
from schemas.symbols import parse_symbol

_SHARE = 1 / 200  # of the trades
_FIRST = 20  # each derivative has its first one within so many trades
_WORSE = (2.0, 12.0)  # bps from the trade's price to the bankruptcy price
_KEPT = 100


@dataclass(frozen=True, slots=True)
class Liquidation:
    """A liquidation order that was filled by one trade, in ticks and lots.

    `side` is that of the order: "sell" closes a long position. `price`: the order's, at which the position's margin
    is used up; `average`: the trade's. `at_ms`: time of the trade.
    """

    trade_id: int
    side: Literal["buy", "sell"]
    price: int
    average: int
    lots: int
    at_ms: int


class Liquidations:
    """The liquidations of one instrument, which its trades' ids decide. `recent`: the last 100, newest last."""

    def __init__(self, listing: Listing, seed: int, first_trade_id: int) -> None:
        self.recent: deque[Liquidation] = deque(maxlen=_KEPT)
        self._key = (seed, listing.feed, listing.symbol, "liquidation")
        self._is_derivative = parse_symbol(listing.symbol).kind != "spot"
        self._first = first_trade_id + int(_FIRST * draw(*self._key))

    def is_liquidation(self, trade_id: int) -> bool:
        """Return whether this trade closes a position by force; the taker does so."""
        return self._is_derivative and (trade_id == self._first or draw(*self._key, trade_id) < _SHARE)

    def on_trade(self, trade_id: int, price: int, lots: int, side: Literal["buy", "sell"], now_ms: int) -> None:
        """Keep the trade's liquidation, if it is one."""
        if not self.is_liquidation(trade_id):
            return
        low, high = _WORSE
        worse = max(1, round(price * (low + (high - low) * draw(*self._key, trade_id, "price")) / 10_000))
        order = price - worse if side == "sell" else price + worse
        self.recent.append(Liquidation(trade_id, side, order, price, lots, now_ms))
