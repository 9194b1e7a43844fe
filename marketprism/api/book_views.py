"""Figures of an order book. Prices and amounts are exact decimals, in quote and base units."""

from collections.abc import Callable, Iterable
from decimal import Context, Decimal, localcontext
from functools import wraps
from itertools import accumulate
from operator import attrgetter
from typing import Literal, NamedTuple, ParamSpec, TypeVar

from marketprism.client.level import Level
from marketprism.client.order_book import OrderBook

_BPS = 10_000
_EXACT = Context(prec=90)  # digits: a product of two published numbers has at most 76

TakerSide = Literal["buy", "sell"]
P = ParamSpec("P")
R = TypeVar("R")


def _exactly(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function compute sums and products without rounding."""

    @wraps(function)
    def exact(*arguments: P.args, **options: P.kwargs) -> R:
        with localcontext(_EXACT):
            return function(*arguments, **options)

    return exact


class Spread(NamedTuple):
    """Best prices and what follows from them; `spread_bps` in basis points of the mid."""

    bid: Decimal
    ask: Decimal
    spread: Decimal
    mid: Decimal
    spread_bps: float


_LAST = Decimal("1e-18")  # step to which a quotient is rounded


class Cost(NamedTuple):
    """What an immediate order of a taker gets: `amount` base units for `value` quote units.

    `average_price` and `worst_price`: quote units; `slippage_bps`: of the average price from the best, basis points, as
    a loss. `filled`: whether the levels hold all of it.
    """

    amount: Decimal
    value: Decimal
    average_price: Decimal | None
    worst_price: Decimal | None
    slippage_bps: float | None
    levels: int
    filled: bool


@_exactly
def spread_of(book: OrderBook) -> Spread | None:
    """Return the spread, or None while a side is empty."""
    if book.best_bid is None or book.best_ask is None:
        return None
    bid, ask = book.best_bid.price, book.best_ask.price
    mid = (bid + ask) / 2
    return Spread(bid, ask, ask - bid, mid, _bps(ask - bid, mid))


@_exactly
def within(levels: Iterable[Level], best: Decimal, bps: Decimal) -> list[Level]:
    """Return the levels, best first, whose prices are at most `bps` basis points from the best."""
    limit = best * bps
    found = []
    for level in levels:
        if abs(level.price - best) * _BPS > limit:
            break
        found.append(level)
    return found


@_exactly
def amount_of(levels: Iterable[Level]) -> Decimal:
    """Return the amount of all levels, base units."""
    return sum(map(attrgetter("amount"), levels), Decimal(0))


@_exactly
def value_of(levels: Iterable[Level]) -> Decimal:
    """Return the value of all levels, quote units."""
    return sum((level.price * level.amount for level in levels), Decimal(0))


@_exactly
def cumulative(levels: Iterable[Level]) -> list[tuple[str, str, Decimal, Decimal]]:
    """Return each level's price and amount, with the amount and the value of all levels up to it."""
    held = list(levels)
    amounts = accumulate(level.amount for level in held)
    values = accumulate(level.price * level.amount for level in held)
    return [
        (level.price_text, level.amount_text, amount, value)
        for level, amount, value in zip(held, amounts, values, strict=True)
    ]


@_exactly
def imbalance_of(bids: Iterable[Level], asks: Iterable[Level]) -> float | None:
    """Return (bid amount - ask amount) / (bid amount + ask amount), from -1 to 1; None without any amount."""
    bid, ask = amount_of(bids), amount_of(asks)
    return round(float((bid - ask) / (bid + ask)), 6) if bid + ask else None


@_exactly
def cost_of(book: OrderBook, side: TakerSide, amount: Decimal | None = None, value: Decimal | None = None) -> Cost:
    """Return what it costs to buy, or brings to sell, an amount of base units or a value of quote units at once."""
    taken_amount = taken_value = Decimal(0)
    best = worst = None
    count = 0
    for level in book.asks if side == "buy" else book.bids:
        left = _left(amount, value, taken_amount, taken_value, level.price)
        if left <= 0:
            break
        taken = min(left, level.amount)
        taken_amount += taken
        taken_value += taken * level.price
        best = level.price if best is None else best
        worst = level.price
        count += 1
    is_filled = taken_amount >= amount if amount is not None else _is_spent(value, taken_value)
    if is_filled and value is not None:
        taken_value = value  # but for what rounding left of it
    average = (taken_value / taken_amount).quantize(_LAST) if taken_amount else None
    slippage = _bps(abs(average - best), best) if average is not None and best is not None else None
    return Cost(taken_amount.quantize(_LAST), taken_value, average, worst, slippage, count, is_filled)


def _left(
    amount: Decimal | None, value: Decimal | None, taken_amount: Decimal, taken_value: Decimal, price: Decimal
) -> Decimal:
    if amount is not None:
        return amount - taken_amount
    return ((value or Decimal(0)) - taken_value) / price if price > 0 else Decimal(0)


def _is_spent(value: Decimal | None, taken: Decimal) -> bool:
    """Return whether a value was taken, but for what rounding leaves of it."""
    return value is not None and abs(value - taken) <= value * Decimal("1e-30")


def _bps(difference: Decimal, base: Decimal) -> float:
    return round(float(difference / base * _BPS), 4) if base else 0.0


def plain(number: Decimal) -> str:
    """Return a decimal as plain text, without an exponent."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
