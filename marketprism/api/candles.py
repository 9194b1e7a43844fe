"""Candles of any interval: the exchange's own ones, or those of the trades."""

from typing import Any, Literal, NamedTuple

from marketprism.api.problems import RequestProblem
from marketprism.api.queries import Queries
from marketprism.api.spans import Span, now_us
from schemas.intervals import INTERVALS, end_of

Origin = Literal["exchange", "trades"]

INTERVAL = r"^([1-9][0-9]{0,3}[smhd]|1w|1M|3M|1y)$"

_SECOND = 1_000_000  # µs
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_UNEVEN = ("1w", "1M", "3M", "1y")  # the exchange's calendar says where they begin
_NAMES = {end_of(0, name) // _SECOND: name for name in INTERVALS if name not in _UNEVEN}

# Of each candle the last update counts. Clocks differ by less than an hour.
_OF_EXCHANGE = """
SELECT
    toUnixTimestamp64Micro(start),
    argMax(
        (toUnixTimestamp64Micro(end), toString(open), toString(high), toString(low), toString(close),
            toString(volume), closed),
        (local_timestamp, _offset))
FROM candles
WHERE exchange = {exchange:String} AND symbol = {symbol:String} AND contract = '' AND origin = 'exchange'
    AND interval = {interval:String}
    AND local_timestamp >= fromUnixTimestamp64Micro({start:Int64}, 'UTC') - INTERVAL 1 HOUR
    AND start >= fromUnixTimestamp64Micro({start:Int64}, 'UTC') AND start < fromUnixTimestamp64Micro({end:Int64}, 'UTC')
GROUP BY start
ORDER BY start DESC
LIMIT {limit:UInt32}
"""
_OF_TRADES = """
SELECT toUnixTimestamp(start), toString(open), toString(high), toString(low), toString(close), toString(volume)
FROM candles_of_trades(interval_seconds = {seconds:UInt32})
WHERE exchange = {exchange:String} AND symbol = {symbol:String}
    AND start >= fromUnixTimestamp64Micro({start:Int64}, 'UTC') AND start < fromUnixTimestamp64Micro({end:Int64}, 'UTC')
ORDER BY start DESC
LIMIT {limit:UInt32}
"""
_FIELDS = ("start", "end", "open", "high", "low", "close", "volume", "closed")


class Interval(NamedTuple):
    """Interval of candles. `name`: the exchanges' name, empty if none has it; `seconds`: 0 if they vary."""

    name: str
    seconds: int
    span: int  # µs, the longest


class Wanted(NamedTuple):
    """Whose candles are asked for: those that begin within `span`, the last `limit` of them."""

    exchange: str
    symbol: str
    span: Span
    limit: int

    def parameters(self) -> dict[str, str]:
        """Return the parameters of both queries."""
        names = {"exchange": self.exchange, "symbol": self.symbol, "limit": str(self.limit)}
        return names | {"start": str(self.span.start), "end": str(self.span.end)}


def parse_interval(text: str) -> Interval:
    """Return an interval such as `90s`, `7m`, `1d` or `1M`: a text that matches `INTERVAL`."""
    if text in _UNEVEN:
        longest = end_of(0, text)  # of January, and of a quarter without a leap day: close enough for a default
        return Interval(text, 0, longest)
    seconds = int(text[:-1]) * _UNITS[text[-1]]
    return Interval(_NAMES.get(seconds, ""), seconds, seconds * _SECOND)


async def candles(
    queries: Queries, wanted: Wanted, interval: Interval, origin: Origin | None
) -> tuple[Origin, list[dict[str, Any]]]:
    """Return the candles, ascending, and of what they are made: of trades where the exchange has none in the span.

    Raise 422 for weeks and months of trades.
    """
    if origin == "trades" and not interval.seconds:
        raise RequestProblem(422, f"{interval.name} candles are not made of trades: their begin is the exchange's")
    found = await _of_exchange(queries, wanted, interval) if interval.name and origin != "trades" else []
    if found or origin == "exchange" or not interval.seconds:
        return "exchange", found
    return "trades", await _of_trades(queries, wanted, interval.seconds)


async def _of_exchange(queries: Queries, wanted: Wanted, interval: Interval) -> list[dict[str, Any]]:
    rows = await queries.lists(_OF_EXCHANGE, wanted.parameters() | {"interval": interval.name})
    return [_candle(int(start), int(end), *figures) for start, (end, *figures) in reversed(rows)]


async def _of_trades(queries: Queries, wanted: Wanted, seconds: int) -> list[dict[str, Any]]:
    rows = await queries.lists(_OF_TRADES, wanted.parameters() | {"seconds": str(seconds)})
    now, found = now_us(), []
    for second, *figures in reversed(rows):
        start = int(second) * _SECOND
        end = start + seconds * _SECOND
        found.append(_candle(start, end, *figures, end <= now))
    return found


def _candle(*values: Any) -> dict[str, Any]:
    return dict(zip(_FIELDS, values, strict=True))
