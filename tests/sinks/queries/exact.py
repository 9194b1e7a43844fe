"""What the answers share: events with their offsets, exact decimals, and quotients cut off as ClickHouse cuts them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from decimal import ROUND_DOWN, Context, Decimal
from typing import Any, NamedTuple, TypeVar

CONTEXT = Context(prec=400, rounding=ROUND_DOWN)
MINUTE, HOUR, DAY = 60_000_000, 3_600_000_000, 86_400_000_000  # µs

Row = dict[str, Any]
Data = dict[str, list[Row]]  # the events of each table; an event's index is its offset
T = TypeVar("T")
K = TypeVar("K")


class Quote(NamedTuple):
    """One row of the view `spreads` whose sides are both known."""

    exchange: str
    symbol: str
    at: int
    offset: int
    mid: Decimal
    spread_bps: Decimal
    imbalance: Decimal
    microprice: Decimal


def cut(number: Decimal, places: int = 18) -> Decimal:
    """Truncate a number, as ClickHouse truncates quotients."""
    return number.quantize(Decimal(1).scaleb(-places), context=CONTEXT)


def divide(dividend: Decimal, divisor: Decimal | int, places: int = 18) -> Decimal:
    return cut(CONTEXT.divide(dividend, Decimal(divisor)), places)


def total(numbers: Iterable[Decimal]) -> Decimal:
    result = Decimal(0)
    for number in numbers:
        result = CONTEXT.add(result, number)
    return result


def times(*factors: Decimal | int) -> Decimal:
    result = Decimal(1)
    for factor in factors:
        result = CONTEXT.multiply(result, Decimal(factor))
    return result


def minus(left: Decimal, right: Decimal) -> Decimal:
    return CONTEXT.subtract(left, right)


def at_level(values: Iterable[T], level: float) -> T:
    """Return what `quantileExact(level)` picks."""
    ordered = sorted(values)  # type: ignore[type-var]
    return ordered[int(level * len(ordered))]


def grouped(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Return the items of each key, in the order of the keys."""
    groups: dict[K, list[T]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return {each: groups[each] for each in sorted(groups)}  # type: ignore[type-var]


def recent(rows: list[Row], now: int, window: int = HOUR) -> Iterator[tuple[int, Row]]:
    """Return the events received within the window that ends now, with their offsets."""
    return ((offset, row) for offset, row in enumerate(rows) if row["local_timestamp"] >= now - window)


def of(row: Row, exchange: str, symbol: str) -> bool:
    return bool(row["exchange"] == exchange and row["symbol"] == symbol)


def instrument(row: Row) -> tuple[str, str]:
    return row["exchange"], row["symbol"]


def on_book(trade: Row) -> bool:
    return bool(trade["kind"] == "normal" or trade["kind"].startswith("liquidation"))


def in_order(trade: tuple[int, Row]) -> tuple[int, int, int]:
    offset, row = trade
    return row["timestamp"], row["local_timestamp"], offset


def quotes(data: Data, now: int) -> list[Quote]:
    """Return the exchanges' quotes of the last hour with both sides, in order of receipt."""
    found = []
    for offset, row in recent(data["quotes"], now):
        if row["origin"] == "bbo" and row["bids"] and row["asks"]:
            bid, bid_amount, ask, ask_amount = map(Decimal, (*row["bids"][0], *row["asks"][0]))
            weighted = total((times(bid, ask_amount), times(ask, bid_amount)))
            amounts = total((bid_amount, ask_amount))
            ratios = (
                divide(total((bid, ask)), 2),
                divide(times(minus(ask, bid), 20_000), total((bid, ask))),
                divide(minus(bid_amount, ask_amount), amounts),
                divide(weighted, amounts, 36),
            )
            found.append(Quote(row["exchange"], row["symbol"], row["local_timestamp"], offset, *ratios))
    return sorted(found, key=lambda quote: (quote.at, quote.offset))


def mids(data: Data, now: int, exchange: str, symbol: str) -> dict[int, Decimal]:
    """Return the last mid of each time at which a quote was received, in order."""
    return {q.at: q.mid for q in quotes(data, now) if (q.exchange, q.symbol) == (exchange, symbol)}
