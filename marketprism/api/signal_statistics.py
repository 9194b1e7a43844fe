"""What arbitrage opportunities were worth, and how long they lasted: those that closed within a span."""

import asyncio
from decimal import Decimal, localcontext
from typing import Any

from marketprism.api.queries import Queries
from marketprism.api.spans import Span

_SECOND = 1_000_000  # µs
_HOUR = 3600 * _SECOND
_LIFETIMES = (0, 1_000, 10_000, 100_000, _SECOND, 10 * _SECOND, 60 * _SECOND, 600 * _SECOND)  # µs, where bars begin

_CLOSED = """FROM signals
WHERE type = 'closed' AND local_timestamp >= fromUnixTimestamp64Micro({start:Int64}, 'UTC')
    AND local_timestamp < fromUnixTimestamp64Micro({end:Int64}, 'UTC')
    AND ({symbol:String} = '' OR symbol = {symbol:String})"""
_BY_HOUR = f"""
SELECT toUnixTimestamp(toStartOfHour(local_timestamp)) AS hour, count(), toString(sum(peak_profit))
{_CLOSED}
GROUP BY hour
"""
_BY_LIFETIME = f"""
SELECT roundDown(lifetime, {{edges:Array(Int64)}}) AS edge, count()
{_CLOSED}
GROUP BY edge
"""
_BY_ROUTE = f"""
SELECT
    buy_exchange, sell_exchange, symbol, count() AS count, toString(sum(peak_profit)) AS profit,
    quantileExact(0.5)(lifetime) AS lifetime_median
{_CLOSED}
GROUP BY buy_exchange, sell_exchange, symbol
ORDER BY sum(peak_profit) DESC, count DESC, symbol, buy_exchange, sell_exchange
LIMIT 200
"""


async def signal_statistics(queries: Queries, span: Span, symbol: str) -> dict[str, Any]:
    """Return the figures of a symbol, or of all for an empty text. Profits are the highest ones, in quote units."""
    given = {"start": str(span.start), "end": str(span.end), "symbol": symbol, "edges": str(list(_LIFETIMES))}
    by_hour, by_lifetime, by_route = await asyncio.gather(
        queries.lists(_BY_HOUR, given), queries.lists(_BY_LIFETIME, given), queries.rows(_BY_ROUTE, given)
    )
    with localcontext(prec=100):
        profit = sum((Decimal(earned) for *_, earned in by_hour), Decimal())
    return {
        "opportunities": sum(int(count) for _, count, _ in by_hour),
        "profit": f"{profit:f}",
        "lifetimes": _lifetimes({int(edge): int(count) for edge, count in by_lifetime}),
        "hours": _hours(span, {int(hour) * _SECOND: (int(count), earned) for hour, count, earned in by_hour}),
        "routes": [_route(row) for row in by_route],
    }


def _lifetimes(counts: dict[int, int]) -> list[dict[str, Any]]:
    ends = (*_LIFETIMES[1:], None)
    bars = zip(_LIFETIMES, ends, strict=True)
    return [{"from_us": start, "to_us": end, "count": counts.get(start, 0)} for start, end in bars]


def _hours(span: Span, found: dict[int, tuple[int, str]]) -> list[dict[str, Any]]:
    bars = []
    for start in range(span.start // _HOUR * _HOUR, span.end, _HOUR):
        count, profit = found.get(start, (0, "0"))
        bars.append({"start": start, "count": count, "profit": profit})
    return bars


def _route(row: dict[str, Any]) -> dict[str, Any]:
    return row | {name: int(row[name]) for name in ("count", "lifetime_median")}
