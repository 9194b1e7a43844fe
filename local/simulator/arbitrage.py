"""Planted arbitrage: two true books moved apart, held there, and what exactly that is worth."""

import time
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

from local.simulator.faults import Arbitrage, Planted
from local.simulator.instrument import SimulatedInstrument
from local.simulator.market import Market
from schemas.errors import StackError

LEVELS = 5  # a side, that the expected result walks
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


@dataclass(frozen=True)
class _Open:
    planted: Planted
    buy: SimulatedInstrument
    sell: SimulatedInstrument
    until: float


class Arbitrages:
    """The arbitrages that stand. While one does, its underlying's hidden price holds still."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._open: list[_Open] = []

    def plant(self, planted: Planted, buy: SimulatedInstrument, sell: SimulatedInstrument) -> None:
        """Move the books apart, at once; the fees are those of the plan, which must be set."""
        plan = planted.plan
        assert isinstance(plan, Arbitrage)
        assert plan.buy_fee_bps is not None
        assert plan.sell_fee_bps is not None
        for instrument in (buy, sell):
            if instrument.held is not None:
                raise StackError(f"{plan.symbol} of {instrument.listing.feed} is held by another arbitrage: wait")
        self._market.hold(buy.listing.underlying)
        _part(buy, sell, plan.bps)
        buy.held, sell.held = buy.book.asks, sell.book.bids
        self._open.append(_Open(planted, buy, sell, time.monotonic() + plan.seconds))
        planted.result |= expected(_base(buy, buy.book.asks), _base(sell, sell.book.bids), *_fees(plan))
        planted.start()

    def step(self) -> None:
        """Let go of those whose time is over: both books return to where their exchange sees the price."""
        now = time.monotonic()
        for arbitrage in [each for each in self._open if now >= each.until]:
            self._open.remove(arbitrage)
            self._market.release(arbitrage.buy.listing.underlying)
            for instrument in (arbitrage.buy, arbitrage.sell):
                instrument.held = None
                instrument.requote()
            arbitrage.planted.end()

    @property
    def held(self) -> set[str]:
        """The symbols that are held apart."""
        return {each.buy.listing.symbol for each in self._open}


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"


def _fees(plan: Arbitrage) -> tuple[float, float]:
    return plan.buy_fee_bps or 0.0, plan.sell_fee_bps or 0.0


def _base(instrument: SimulatedInstrument, side: Any) -> Side:
    listing = instrument.listing
    return [(listing.price(price), listing.base_amount(amount)) for price, amount in side.top(LEVELS)]


def _part(buy: SimulatedInstrument, sell: SimulatedInstrument, bps: float) -> None:
    """Both books move by half; the sell side's best bid is the lowest that makes the gross spread at least `bps`."""
    middle = (buy.mid * float(buy.listing.tick) + sell.mid * float(sell.listing.tick)) / 2
    ask = round(middle * (1 - bps / 20_000) / float(buy.listing.tick))
    lowest = buy.listing.price(ask) * (1 + Decimal(str(bps)) / _BPS) / sell.listing.tick
    bid = int(lowest.to_integral_value(ROUND_CEILING))
    buy.move(ask - 1, ask)
    sell.move(bid, bid + 1)
