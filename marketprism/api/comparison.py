"""Compare an instrument's quotes across exchanges. Prices are compared exactly."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

RowState = Literal["live", "rest", "stale", "down"]  # rest: polled, as no socket brings the book


@dataclass(slots=True)
class Row:
    """One exchange's best prices, empty without a level. `bid_bps`, `ask_bps`: distance to the best, basis points."""

    exchange: str
    state: RowState
    bid: str
    bid_amount: str
    ask: str
    ask_amount: str
    last_at: int
    bid_bps: float | None = None
    ask_bps: float | None = None
    is_best_bid: bool = False
    is_best_ask: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """All exchanges' rows, in a fixed order. Only those that are live take part in the best.

    `cross_bps`: best bid above best ask, before fees, basis points; negative without an overlap. `tick`: the smallest
    step of prices on any of the exchanges.
    """

    symbol: str
    tick: str | None
    rows: list[Row]
    best_bid: str
    best_ask: str
    cross_bps: float | None


def compared(symbol: str, tick: Decimal | None, rows: list[Row]) -> Comparison:
    """Return the comparison of these rows, in which the best and the distances are filled in."""
    live = [row for row in rows if row.state == "live"]
    bid = max((Decimal(row.bid) for row in live if row.bid), default=None)
    ask = min((Decimal(row.ask) for row in live if row.ask), default=None)
    for row in rows:
        row.bid_bps, row.ask_bps = _bps(row.bid, bid), _bps(row.ask, ask)
    for row in live:
        row.is_best_bid = bool(row.bid) and Decimal(row.bid) == bid
        row.is_best_ask = bool(row.ask) and Decimal(row.ask) == ask
    return Comparison(
        symbol,
        format(tick, "f") if tick else None,
        rows,
        _best(row.bid for row in live if row.is_best_bid),
        _best(row.ask for row in live if row.is_best_ask),
        bps(bid - ask, ask) if bid is not None and ask else None,
    )


def bps(difference: Decimal, base: Decimal) -> float:
    """Return a difference in basis points, to the hundredth."""
    return round(float(difference / base * 10_000), 2)


def _bps(price: str, best: Decimal | None) -> float | None:
    return bps(Decimal(price) - best, best) if price and best else None


def _best(prices: Iterable[str]) -> str:
    return next(iter(prices), "")
