"""Answers about trades and quotes, computed in Python's decimals from the events themselves."""

import math
from bisect import bisect_right
from decimal import Decimal
from itertools import pairwise
from typing import Any

from tests.sinks.queries.exact import (
    CONTEXT,
    HOUR,
    MINUTE,
    Data,
    Row,
    at_level,
    divide,
    grouped,
    in_order,
    instrument,
    mids,
    minus,
    of,
    on_book,
    quotes,
    recent,
    times,
    total,
)
from tests.sinks.queries.registry import Answer, answers

SPOT, PERP, OTHER = ("binance", "BTC-USDT"), ("binance", "BTC-USDT-PERP"), ("okx", "BTC-USDT")


def minutes_of(data: Data, exchange: str, symbol: str) -> dict[int, list[Row]]:
    """Return an instrument's trades on the book by minute, each in order."""
    rows = [(n, row) for n, row in enumerate(data["trades"]) if of(row, exchange, symbol) and on_book(row)]
    groups = grouped(rows, lambda each: each[1]["timestamp"] // MINUTE * MINUTE)
    return {start: [row for _, row in sorted(group, key=in_order)] for start, group in groups.items()}


def prices(trades: list[Row]) -> list[Decimal]:
    return [Decimal(row["price"]) for row in trades]


def amount(rows: list[Row]) -> Decimal:
    return total(Decimal(row["amount"]) for row in rows)


@answers("VWAP")
def vwap(data: Data, now: int) -> Answer:
    found: Answer = []
    for start, trades in minutes_of(data, *SPOT).items():
        if start >= now - HOUR:
            notional = total(times(Decimal(row["price"]), Decimal(row["amount"])) for row in trades)
            found.append((start, divide(notional, amount(trades), 36), amount(trades), len(trades)))
    return found


@answers("Order flow")
def order_flow(data: Data, now: int) -> Answer:
    rows = [row for _, row in recent(data["trades"], now) if of(row, *SPOT) and on_book(row)]
    found, running = Answer(), Decimal(0)
    for minute, trades in grouped(rows, lambda row: row["timestamp"] // MINUTE * MINUTE).items():
        bought = amount([row for row in trades if row["side"] == "buy"])
        flow = minus(times(bought, 2), amount(trades))
        running += flow
        found.append((minute, flow, divide(flow, amount(trades)), running))
    return found


@answers("Realised volatility")
def volatility(data: Data, now: int) -> Answer:
    found: Answer = []
    for exchange, symbol in sorted({instrument(row) for row in data["trades"]}):
        closes = [
            prices(trades)[-1] for start, trades in minutes_of(data, exchange, symbol).items() if start >= now - HOUR
        ]
        returns = [math.log(float(CONTEXT.divide(close, before))) for before, close in pairwise(closes)]
        if returns:
            yearly = math.fsum(each**2 for each in returns) / len(returns) * 525_600
            found.append((exchange, symbol, len(returns), math.sqrt(yearly)))
    return found


@answers("Candles against trades")
def candles(data: Data, now: int) -> Answer:
    ours, found = minutes_of(data, *SPOT), Answer()
    for _, row in recent(data["candles"], now):
        final = row["closed"] and row["complete"] and row["interval"] == "1m" and not row["contract"]
        final = final and row["origin"] == "exchange"
        trades = ours.get(row["start"])
        if final and of(row, *SPOT) and trades:
            paid = prices(trades)
            figures = {
                "open": paid[0],
                "high": max(paid),
                "low": min(paid),
                "close": paid[-1],
                "volume": amount(trades),
            }
            count = row["trades"] if row["trades"] is None else row["trades"] - len(trades)
            differences = (None if row[n] is None else minus(Decimal(row[n]), value) for n, value in figures.items())
            found.append((row["start"], *differences, count))
    return sorted(found, key=lambda each: each[0])


@answers("Liquidations")
def liquidations(data: Data, now: int) -> Answer:
    def key(row: Row) -> tuple[Any, ...]:
        return *instrument(row), row["timestamp"] // MINUTE * MINUTE, row["side"]

    def value(row: Row) -> Decimal:
        return times(Decimal(row["amount"]), Decimal(row["average_price"] or row["price"] or 0))

    groups = grouped([row for _, row in recent(data["liquidations"], now)], key)
    return [
        (*key, len(rows), amount(rows), total(map(value, rows)), any(row["sampled"] for row in rows))
        for key, rows in groups.items()
    ]


@answers("Spread")
def spread(data: Data, now: int) -> Answer:
    groups = grouped(quotes(data, now), lambda quote: (quote.exchange, quote.symbol))
    found: Answer = []
    for key, group in groups.items():
        spreads = [quote.spread_bps for quote in group]
        found.append((*key, len(group), *(at_level(spreads, level) for level in (0.05, 0.5, 0.95)), max(spreads)))
    return found


@answers("Imbalance")
def imbalance(data: Data, now: int) -> Answer:
    rows = [quote for quote in quotes(data, now) if (quote.exchange, quote.symbol) == SPOT]
    return [
        (minute, len(group), divide(total(quote.imbalance for quote in group), len(group)))
        for minute, group in grouped(rows, lambda quote: quote.at // MINUTE * MINUTE).items()
    ]


@answers("Microprice")
def microprice(data: Data, now: int) -> Answer:
    found: Answer = []
    for key, group in grouped(quotes(data, now), lambda quote: (quote.exchange, quote.symbol)).items():
        moves = [(a, b) for a, b in pairwise(group) if a.mid != b.mid and a.microprice != a.mid]
        hits = sum((a.microprice > a.mid) == (b.mid > a.mid) for a, b in moves)
        if moves:
            found.append((*key, len(moves), hits, hits / len(moves)))
    return found


def last_before(known: dict[int, Decimal], stamps: list[int], at: int) -> Decimal | None:
    place = bisect_right(stamps, at)
    return known[stamps[place - 1]] if place else None


@answers("Cost and impact of trades")
def cost(data: Data, now: int) -> Answer:
    known = mids(data, now, *SPOT)
    stamps = list(known)
    costs: dict[str, list[tuple[Decimal, Decimal]]] = {"buy": [], "sell": []}
    for _, row in recent(data["trades"], now):
        before = last_before(known, stamps, row["local_timestamp"])
        after = last_before(known, stamps, row["local_timestamp"] + 1_000_000)
        if of(row, *SPOT) and on_book(row) and before is not None and after is not None:
            direction = 1 if row["side"] == "buy" else -1
            effective = times(minus(Decimal(row["price"]), before), direction, 20_000)
            impact = times(minus(after, before), direction, 10_000)
            costs[row["side"]].append((divide(effective, before), divide(impact, before)))
    return [
        (side, len(pairs), *(divide(total(column), len(pairs)) for column in zip(*pairs, strict=True)))
        for side, pairs in costs.items()
        if pairs
    ]


def moves(data: Data, now: int, exchange: str, symbol: str) -> dict[int, Decimal]:
    last = {at // 100_000: mid for at, mid in mids(data, now, exchange, symbol).items()}
    found = {bucket: Decimal(0) for bucket in list(last)[:1]}
    for before, bucket in pairwise(last):
        found[bucket] = divide(times(minus(last[bucket], last[before]), 10_000), last[before])
    return found


@answers("Lead and lag")
def lead_and_lag(data: Data, now: int) -> Answer:
    first, second = moves(data, now, *SPOT), moves(data, now, *OTHER)
    squares = [total(times(move, move) for move in each.values()) for each in (first, second)]
    found: Answer = []
    for lag in range(-5, 6):
        pairs = [(move, second[bucket + lag]) for bucket, move in first.items() if bucket + lag in second]
        covariation = total(times(*pair) for pair in pairs)
        if pairs:
            found.append(
                (lag * 100, covariation, float(covariation) / math.sqrt(float(squares[0]) * float(squares[1])))
            )
    return found


@answers("Basis")
def basis(data: Data, now: int) -> Answer:
    spot = mids(data, now, *SPOT)
    stamps, found = list(spot), list[tuple[int, Decimal]]()
    for at, mid in mids(data, now, *PERP).items():
        base = last_before(spot, stamps, at)
        if base is not None:
            found.append((at // MINUTE * MINUTE, divide(times(minus(mid, base), 10_000), base)))
    return [
        (minute, len(group), divide(total(each for _, each in group), len(group)))
        for minute, group in grouped(found, lambda each: each[0]).items()
    ]
