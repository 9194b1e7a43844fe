"""Planted arbitrages: move one true book away from another, hold both, and calculate the exact profit.

A client's books lag by up to the interval of a depth stream, and a join may pair quotes that are half a second old.
Therefore the book that is not moved is held for `SETTLE_S` before and after, so that no two quotes that a join pairs
pay more than the expected profit.
"""

import time
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from marketprism.simulator.market.instrument import SimulatedInstrument
from marketprism.simulator.market.prices import Market
from marketprism.simulator.plans import Arbitrage, Planted

LEVELS = 5  # of each side that the expected profit takes into account
SETTLE_S = 0.65  # s before and after: a join window of 500 ms, a depth interval of 100 ms and some reserve
_BPS = Decimal(10_000)

Side = list[tuple[Decimal, Decimal]]  # price, base amount; best first


def expected_profit(asks: Side, bids: Side, buy_fee_bps: float, sell_fee_bps: float) -> dict[str, Any]:
    """Return the profit of buying from `asks` and selling to `bids` while the next unit pays after both taker fees.

    `amount` is in base units and the net `profit` in the quote currency, both decimal strings. `gross_bps` and
    `net_bps` are the spread of the best prices.
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
class _Running:
    """A running arbitrage. Of `buy` and `sell`, one is `moving`, the other `fixed`. `due`: start of the next phase."""

    planted: Planted
    plan: Arbitrage
    buy: SimulatedInstrument
    sell: SimulatedInstrument
    due: float

    @property
    def moving(self) -> SimulatedInstrument:
        return self.sell if self.planted.id % 2 else self.buy

    @property
    def fixed(self) -> SimulatedInstrument:
        return self.buy if self.planted.id % 2 else self.sell

    def hold(self, instrument: SimulatedInstrument) -> None:
        """Hold the side of this instrument that the arbitrage trades on."""
        instrument.held = instrument.book.asks if instrument is self.buy else instrument.book.bids


class Arbitrages:
    """All running arbitrages. The hidden prices of their underlyings do not move."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._running: list[_Running] = []

    def plant(self, planted: Planted, plan: Arbitrage, buy: SimulatedInstrument, sell: SimulatedInstrument) -> None:
        """Hold one book now and move the other away from it after `SETTLE_S`; the plan's fees must be set."""
        arbitrage = _Running(planted, plan, buy, sell, time.monotonic() + SETTLE_S)
        self._market.hold(buy.listing.underlying)
        arbitrage.hold(arbitrage.fixed)
        self._running.append(arbitrage)

    def step(self) -> None:
        """Begin, end and release the arbitrages whose next phase is due."""
        now = time.monotonic()
        for arbitrage in [each for each in self._running if now >= each.due]:
            if not arbitrage.planted.started_at:
                self._begin(arbitrage, now)
            elif not arbitrage.planted.ended_at:
                self._end(arbitrage, now)
            else:
                self._running.remove(arbitrage)
                self._market.release(arbitrage.buy.listing.underlying)
                arbitrage.fixed.held = None

    @property
    def symbols(self) -> set[str]:
        """The symbols with a running arbitrage, including `SETTLE_S` before and after it."""
        return {each.plan.symbol for each in self._running}

    def _begin(self, arbitrage: _Running, now: float) -> None:
        plan, buy, sell = arbitrage.plan, arbitrage.buy, arbitrage.sell
        _move(arbitrage)
        arbitrage.hold(arbitrage.moving)
        arbitrage.due = now + plan.seconds
        arbitrage.planted.result["moved"] = arbitrage.moving.listing.feed
        asks, bids = _in_base_units(buy, buy.book.asks), _in_base_units(sell, sell.book.bids)
        arbitrage.planted.result |= expected_profit(asks, bids, *_fees(plan))
        arbitrage.planted.start()

    def _end(self, arbitrage: _Running, now: float) -> None:
        """Move the book back to its exchange's price."""
        arbitrage.moving.held = None
        arbitrage.moving.requote()
        arbitrage.due = now + SETTLE_S
        arbitrage.planted.end()


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"


def _fees(plan: Arbitrage) -> tuple[float, float]:
    return plan.buy_fee_bps or 0.0, plan.sell_fee_bps or 0.0


def _in_base_units(instrument: SimulatedInstrument, side: Any) -> Side:
    listing = instrument.listing
    return [(listing.price(price), listing.base_amount(amount, price)) for price, amount in side.top(LEVELS)]


def _move(arbitrage: _Running) -> None:
    """Move the moving book's best price just far enough for a gross spread of at least `bps`."""
    ask, bid = arbitrage.buy.listing, arbitrage.sell.listing
    factor = 1 + Decimal(str(arbitrage.plan.bps)) / _BPS
    if arbitrage.moving is arbitrage.sell:
        lowest = ask.price(arbitrage.buy.book.asks.at(0)) * factor / bid.tick
        best = int(lowest.to_integral_value(ROUND_CEILING))
        arbitrage.sell.move(best, best + 1)
    else:
        highest = bid.price(arbitrage.sell.book.bids.at(0)) / factor / ask.tick
        best = int(highest.to_integral_value(ROUND_FLOOR))
        arbitrage.buy.move(best - 1, best)
