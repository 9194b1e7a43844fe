"""What a cross-exchange spread pays: gross and net basis points, the executable amount, and how unusual it is."""

from decimal import Decimal, localcontext
from math import exp, sqrt
from typing import Any, NamedTuple

from streams.decimals import EXACT, fitted

Levels = list[list[str]]  # [price, amount], best first, as in `market.quotes`

_MEMORY = 300_000_000  # µs: the time constant of the rolling statistics
_SAMPLE_EVERY = 100_000  # µs
_BPS = Decimal(10_000)


def gross_bps(ask: float, bid: float) -> float:
    """Buying at `ask`, selling at `bid`, before fees."""
    return (bid / ask - 1) * 10_000


def net_bps(ask: float, bid: float, buy_fee_bps: float, sell_fee_bps: float) -> float:
    """The same after both taker fees, relative to what the buying costs. `execute` decides whether it pays."""
    return (bid * (1 - sell_fee_bps / 10_000) / (ask * (1 + buy_fee_bps / 10_000)) - 1) * 10_000


class Execution(NamedTuple):
    """`amount` base units; `profit` in the quote currency, net; averages over the amount."""

    amount: Decimal
    profit: Decimal
    buy_price: Decimal
    sell_price: Decimal


def execute(
    asks: Levels, bids: Levels, buy_fee_bps: float, sell_fee_bps: float, least_bps: float = 0.0
) -> Execution | None:
    """Walk both sides' levels while the marginal trade still pays after both fees.

    None where that earns nothing, or where the best prices are less than `least_bps` apart after fees. All in exact
    decimals, rounded once, to 18 places; `RangeError` where a result has too many digits before the point.
    """
    with localcontext(EXACT):
        cost = 1 + Decimal(str(buy_fee_bps)) / _BPS
        keep = 1 - Decimal(str(sell_fee_bps)) / _BPS
        sellers = [(Decimal(price), Decimal(size)) for price, size in asks]
        buyers = [(Decimal(price), Decimal(size)) for price, size in bids]
        least = 1 + Decimal(str(least_bps)) / _BPS
        if not (sellers and buyers) or buyers[0][0] * keep < sellers[0][0] * cost * least:
            return None
        amount, bought, sold = _walk(sellers, buyers, cost, keep)
        profit = fitted(sold * keep - bought * cost)
        if not amount or not profit:
            return None
        return Execution(fitted(amount), profit, fitted(bought / amount), fitted(sold / amount))


def _walk(
    sellers: list[tuple[Decimal, Decimal]], buyers: list[tuple[Decimal, Decimal]], cost: Decimal, keep: Decimal
) -> tuple[Decimal, Decimal, Decimal]:
    """The amount, what buying it costs and what selling it brings, before fees."""
    amount = bought = sold = Decimal(0)
    while sellers and buyers:
        (ask, offered), (bid, wanted) = sellers[0], buyers[0]
        if bid * keep <= ask * cost:
            break
        step = min(offered, wanted)
        amount, bought, sold = amount + step, bought + step * ask, sold + step * bid
        _take(sellers, step)
        _take(buyers, step)
    return amount, bought, sold


def _take(side: list[tuple[Decimal, Decimal]], step: Decimal) -> None:
    price, size = side[0]
    if size > step:
        side[0] = (price, size - step)
    else:
        del side[0]


class SpreadStatistics:
    """Mean and deviation of a pair's gross spread, weighted towards the last five minutes. Sampled at 10 Hz at most."""

    __slots__ = ("at", "count", "mean", "variance")

    def __init__(self, at: int = 0, count: int = 0, mean: float = 0.0, variance: float = 0.0) -> None:
        self.at = at
        self.count = count
        self.mean = mean
        self.variance = variance

    def add(self, now: int, spread: float) -> None:
        elapsed = now - self.at
        if elapsed < _SAMPLE_EVERY:
            return
        weight = max(1 - exp(-elapsed / _MEMORY), 1 / (self.count + 1))  # a plain mean while there are few
        off = spread - self.mean
        self.mean += weight * off
        self.variance = (1 - weight) * (self.variance + weight * off * off)
        self.count += 1
        self.at = now

    def describe(self, spread: float) -> dict[str, Any]:
        deviation = sqrt(self.variance)
        return {
            "spread_mean_bps": round(self.mean, 4),
            "spread_stdev_bps": round(deviation, 4),
            "spread_zscore": round((spread - self.mean) / deviation, 4) if deviation else 0.0,
            "spread_count": self.count,
        }

    def dump(self) -> list[Any]:
        return [self.at, self.count, self.mean, self.variance]
