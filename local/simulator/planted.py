"""Planted arbitrages: what was planted, and what it must earn."""

from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from local.simulator.market import Level, TrueBook


@dataclass
class Planted:
    """`amount` base units and `profit` in the quote currency, net of both taker fees, over the levels given."""

    id: int
    symbol: str
    buy_feed: str
    sell_feed: str
    bps: float
    duration: float
    planted_at: int  # ns
    amount: str
    profit: str
    removed_at: int = 0  # ns

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def expected(buy: TrueBook, sell: TrueBook, fees_bps: tuple[float, float], depth: int) -> tuple[Decimal, Decimal]:
    """Amount and profit of trading the crossing levels against each other, best first, while it pays after fees."""
    asks = _base(buy.levels(depth)[1], buy.listing.contract_size)
    bids = _base(sell.levels(depth)[0], sell.listing.contract_size)
    cost, keep = (1 + _fraction(fees_bps[0])), (1 - _fraction(fees_bps[1]))
    amount = profit = Decimal(0)
    for ask, offered in asks:
        left = offered
        for rank, (bid, wanted) in enumerate(bids):
            step = min(left, wanted)
            gain = bid * keep - ask * cost
            if step and gain > 0:
                amount, profit, left = amount + step, profit + step * gain, left - step
                bids[rank] = (bid, wanted - step)
    return amount, profit


def _fraction(bps: float) -> Decimal:
    return Decimal(str(bps)) / 10_000


def _base(levels: list[Level], contract_size: str) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(price), Decimal(amount) * Decimal(contract_size)) for price, amount in levels]
