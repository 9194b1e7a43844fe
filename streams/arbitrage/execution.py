"""Compute what a cross-exchange spread pays: gross and net basis points, and the amount that can be executed."""

from decimal import Decimal, localcontext
from typing import NamedTuple

from streams.decimals import EXACT, fitted

Levels = list[list[str]]  # [price, amount], best first, as in `market.quotes`

_BPS = Decimal(10_000)


def gross_bps(ask: float, bid: float) -> float:
    """Return the basis points gained by buying at `ask` and selling at `bid`, before fees."""
    return (bid / ask - 1) * 10_000


def net_bps(ask: float, bid: float, buy_fee_bps: float, sell_fee_bps: float) -> float:
    """Return the same after both taker fees, relative to the cost of buying. Only `execute` decides whether it pays."""
    return (bid * (1 - sell_fee_bps / 10_000) / (ask * (1 + buy_fee_bps / 10_000)) - 1) * 10_000


class Execution(NamedTuple):
    """Result of walking two books: `amount` in base units, net `profit` in the quote currency, and average prices."""

    amount: Decimal
    profit: Decimal
    buy_price: Decimal
    sell_price: Decimal


def execute(
    asks: Levels, bids: Levels, buy_fee_bps: float, sell_fee_bps: float, least_bps: float = 0.0
) -> Execution | None:
    """Walk the levels of both sides as long as the marginal trade pays after both fees.

    Returns None where nothing is earned, or where the best prices are less than `least_bps` apart after fees. Computes
    in exact decimals and rounds once, to 18 places. Raises `RangeError` where a result has too many digits before the
    point.
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
    """Return the amount, the cost of buying it and the proceeds of selling it, before fees."""
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
