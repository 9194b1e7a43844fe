"""Planted arbitrage: one true book is moved away from another, both are held there, and what exactly that is worth.

A client's books lag by up to a depth stream's interval, and a join may still pair what is half a second old. So the
book that stays is held for a while before and after: no frames that can meet pay more than what is told.
"""

import time
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from marketprism.simulator.market.instrument import SimulatedInstrument
from marketprism.simulator.market.prices import Market
from marketprism.simulator.plans import Arbitrage, Planted

LEVELS = 5  # a side, that the expected result walks
SETTLE = 0.65  # s, before and after: a window of 500 ms and a depth interval of 100 ms
_BPS = Decimal(10_000)

Side = list[tuple[Decimal, Decimal]]  # price, base amount; best first


def expected(asks: Side, bids: Side, buy_fee_bps: float, sell_fee_bps: float) -> dict[str, Any]:
    """What buying from `asks` and selling to `bids` earns while the marginal trade pays after both taker fees.

    Decimal strings: `amount` in base units, net `profit` in the quote currency; `gross_bps` of the best prices.
    """
    cost, keep = 1 + Decimal(str(buy_fee_bps)) / _BPS, 1 - Decimal(str(sell_fee_bps)) / _BPS
    amount = profit = Decimal(0)
    ask_left, bid_left = [size for _, size in asks], [size for _, size in bids]
    i = j = 0
    while i < len(asks) and j < len(bids) and bids[j][0] * keep > asks[i][0] * cost:
        step = min(ask_left[i], bid_left[j])
        amount += step
        profit += step * (bids[j][0] * keep - asks[i][0] * cost)
        ask_left[i] -= step
        bid_left[j] -= step
        i, j = i + (not ask_left[i]), j + (not bid_left[j])
    ask, bid = asks[0][0], bids[0][0]
    return {
        "gross_bps": float((bid / ask - 1) * _BPS),
        "net_bps": float((bid * keep / (ask * cost) - 1) * _BPS),
        "amount": _plain(amount),
        "profit": _plain(profit),
        "asks": [[_plain(price), _plain(size)] for price, size in asks],
        "bids": [[_plain(price), _plain(size)] for price, size in bids],
    }


@dataclass
class _Open:
    """`mover` is the one of `buy` and `sell` that is moved, `stayer` the other; `due`: when the next phase begins."""

    planted: Planted
    plan: Arbitrage
    buy: SimulatedInstrument
    sell: SimulatedInstrument
    due: float

    @property
    def mover(self) -> SimulatedInstrument:
        return self.sell if self.planted.id % 2 else self.buy

    @property
    def stayer(self) -> SimulatedInstrument:
        return self.buy if self.planted.id % 2 else self.sell

    def hold(self, instrument: SimulatedInstrument) -> None:
        instrument.held = instrument.book.asks if instrument is self.buy else instrument.book.bids


class Arbitrages:
    """The arbitrages that stand. While one does, its underlying's hidden price holds still."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._open: list[_Open] = []

    def plant(self, planted: Planted, plan: Arbitrage, buy: SimulatedInstrument, sell: SimulatedInstrument) -> None:
        """Hold one book now, and move the other away from it `SETTLE` seconds later; the plan's fees must be set."""
        arbitrage = _Open(planted, plan, buy, sell, time.monotonic() + SETTLE)
        self._market.hold(buy.listing.underlying)
        arbitrage.hold(arbitrage.stayer)
        self._open.append(arbitrage)

    def step(self) -> None:
        """Move, return, and let go those whose time has come."""
        now = time.monotonic()
        for arbitrage in [each for each in self._open if now >= each.due]:
            if not arbitrage.planted.started_at:
                self._begin(arbitrage, now)
            elif not arbitrage.planted.ended_at:
                self._return(arbitrage, now)
            else:
                self._open.remove(arbitrage)
                self._market.release(arbitrage.buy.listing.underlying)
                arbitrage.stayer.held = None

    @property
    def held(self) -> set[str]:
        """The symbols that are held apart, or are about to be, or were just now."""
        return {each.plan.symbol for each in self._open}

    def _begin(self, arbitrage: _Open, now: float) -> None:
        plan, buy, sell = arbitrage.plan, arbitrage.buy, arbitrage.sell
        _part(arbitrage)
        arbitrage.hold(arbitrage.mover)
        arbitrage.due = now + plan.seconds
        arbitrage.planted.result["moved"] = arbitrage.mover.listing.feed
        arbitrage.planted.result |= expected(_base(buy, buy.book.asks), _base(sell, sell.book.bids), *_fees(plan))
        arbitrage.planted.start()

    def _return(self, arbitrage: _Open, now: float) -> None:
        """The moved book goes back to where its exchange sees the price."""
        arbitrage.mover.held = None
        arbitrage.mover.requote()
        arbitrage.due = now + SETTLE
        arbitrage.planted.end()


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"


def _fees(plan: Arbitrage) -> tuple[float, float]:
    return plan.buy_fee_bps or 0.0, plan.sell_fee_bps or 0.0


def _base(instrument: SimulatedInstrument, side: Any) -> Side:
    listing = instrument.listing
    return [(listing.price(price), listing.base_amount(amount, price)) for price, amount in side.top(LEVELS)]


def _part(arbitrage: _Open) -> None:
    """Move the mover's best price by the least that makes the gross spread `bps` or more."""
    ask, bid = arbitrage.buy.listing, arbitrage.sell.listing
    factor = 1 + Decimal(str(arbitrage.plan.bps)) / _BPS
    if arbitrage.mover is arbitrage.sell:
        lowest = ask.price(arbitrage.buy.book.asks.at(0)) * factor / bid.tick
        best = int(lowest.to_integral_value(ROUND_CEILING))
        arbitrage.sell.move(best, best + 1)
    else:
        highest = bid.price(arbitrage.sell.book.bids.at(0)) / factor / ask.tick
        best = int(highest.to_integral_value(ROUND_FLOOR))
        arbitrage.buy.move(best - 1, best)
