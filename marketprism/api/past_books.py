"""The rebuilt book at a past time, from ClickHouse's view `book_at`."""

from datetime import UTC, datetime
from typing import Any

from marketprism.api.problems import RequestProblem
from marketprism.api.queries import Queries
from marketprism.api.spans import micros

_QUERY = """
SELECT side, toString(price) AS price, toString(amount) AS amount
FROM book_at(exchange = {exchange:String}, symbol = {symbol:String}, at = {at:String})
WHERE level <= {depth:UInt32}
ORDER BY side, level
"""


async def book_at(queries: Queries, exchange: str, symbol: str, time: str, depth: int) -> dict[str, Any]:
    """Return the book. Raise 404 if it was not live then, and 422 for a text that is not a time."""
    at = micros(time)
    text = datetime.fromtimestamp(at // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S") + f".{at % 1_000_000:06}"
    rows = await queries.rows(_QUERY, {"exchange": exchange, "symbol": symbol, "at": text, "depth": str(depth)})
    if not rows:
        raise RequestProblem(404, f"the book of {symbol} on {exchange} was not live at {text} UTC")
    return {
        "exchange": exchange,
        "symbol": symbol,
        "at": at,
        "bids": [_level(row) for row in rows if row["side"] == "bid"],
        "asks": [_level(row) for row in rows if row["side"] == "ask"],
    }


def _level(row: dict[str, Any]) -> dict[str, str]:
    return {"price": row["price"], "amount": row["amount"]}
