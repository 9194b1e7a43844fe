"""List what the tables lack: trades and books by the gaps that the workers reported, candles by their times."""

import asyncio
from collections.abc import Collection, Iterable
from typing import Any, Literal, NamedTuple

from marketprism.backfill.holes import Span
from marketprism.backfill.stored import rows_of
from schemas.errors import SettingsError
from schemas.feeds import FEEDS, Feed, feed_of
from schemas.settings import Settings
from schemas.symbols import is_pattern, parse_symbol

_TABLES = ("instruments", "gaps", "candles", "trades", "books")  # of which one has whatever is followed or filled in

State = Literal["missing", "filled", "arrived", "lost"]

# A gap belongs to the range if it had opened before its end and closed after its begin.
_GAPS = """
SELECT
    exchange, symbol, channel, id,
    any(cause), any(first_missing), any(last_missing),
    toUnixTimestamp64Micro(min(since)) AS begin,
    toUnixTimestamp64Micro(minIf(local_timestamp, type = 'opened')) AS opened,
    if(countIf(type = 'closed') > 0, toUnixTimestamp64Micro(maxIf(local_timestamp, type = 'closed')), 0) AS closed,
    countIf(type = 'filled') > 0 AS filled
FROM gaps
WHERE local_timestamp >= fromUnixTimestamp64Micro({begin:Int64}) AND since < fromUnixTimestamp64Micro({end:Int64})
GROUP BY exchange, symbol, channel, id
HAVING opened > 0
ORDER BY begin, exchange, symbol, channel
"""
# The first candle of all counts although it may be incomplete: from its start on, candles were received.
_CANDLES = """
SELECT exchange, symbol, interval, toUnixTimestamp64Micro(before) AS begin, toUnixTimestamp64Micro(start) AS end
FROM
(
    SELECT
        exchange, symbol, interval, start, whole,
        lagInFrame(if(whole, `end`, start)) OVER (
            PARTITION BY exchange, symbol, interval ORDER BY start ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS before
    FROM
    (
        SELECT *, min(start) OVER (PARTITION BY exchange, symbol, interval) AS first
        FROM
        (
            SELECT exchange, symbol, interval, start, `end`, max(closed AND complete) AS whole FROM candles
            WHERE origin = 'exchange' AND contract = ''
                AND start >= fromUnixTimestamp64Micro({begin:Int64}) AND start < fromUnixTimestamp64Micro({end:Int64})
            GROUP BY exchange, symbol, interval, start, `end`
        )
    )
    WHERE whole OR start = first
)
WHERE whole AND toUnixTimestamp64Micro(before) > 0 AND start > before
ORDER BY begin, exchange, symbol, interval
"""


class Entry(NamedTuple):
    """One hole. `what`: trades, books or candles; `interval`: of candles; `gap_id`: of a reported gap.

    `begin`, `end`: µs, of trades and books by receipt and of candles by their starts; `end` is 0 while it is open.
    `cause`: of a reported gap. `first_missing`, `last_missing`: numbers of trades, where they are consecutive.
    """

    exchange: str
    symbol: str
    what: Literal["trades", "books", "candles"]
    begin: int
    end: int
    state: State
    cause: str = ""
    interval: str = ""
    gap_id: str = ""
    first_missing: str = ""
    last_missing: str = ""

    @property
    def feed(self) -> str:
        """The name of the instrument's feed."""
        return feed_of(self.exchange, self.symbol).name

    @property
    def detail(self) -> str:
        """The cause, or what is missing."""
        if self.what == "candles":
            return f"no {self.interval} candles"
        return f"{self.cause}: {_numbers(self.first_missing, self.last_missing)}" if self.first_missing else self.cause

    @property
    def can_be_filled(self) -> bool:
        """Whether it is worth asking the exchange's past for it: nobody has the past of a book."""
        return self.state == "missing" and self.what != "books" and self.end > 0


async def ledger(settings: Settings, span: Span, feeds: Iterable[str] = (), symbols: Iterable[str] = ()) -> list[Entry]:
    """Return the holes in a span, oldest first; of all feeds and symbols if none are named."""
    given = {"begin": str(span.begin), "end": str(span.end)}
    gaps, candles = await asyncio.gather(*(rows_of(settings, query, given) for query in (_GAPS, _CANDLES)))
    found = [*map(_gap, gaps), *map(_candles, candles)]
    wanted_feeds, wanted_symbols = set(feeds), set(symbols)
    return sorted(
        (
            entry
            for entry in found
            if (not wanted_feeds or entry.feed in wanted_feeds)
            and (not wanted_symbols or entry.symbol in wanted_symbols)
        ),
        key=lambda entry: (entry.begin, entry.exchange, entry.symbol, entry.what),
    )


async def check_selection(settings: Settings, feeds: Collection[str], symbols: Collection[str]) -> None:
    """Raise `SymbolError` or `SettingsError` for what is not a symbol, or what the tables hold nothing of.

    Nothing is missing of that, which would be taken for a good answer.
    """
    wanted = [FEEDS[name] for name in sorted(feeds)] or list(FEEDS.values())
    of = f" of {' and '.join(sorted(feeds))}" if feeds else ""
    if not symbols and not await _holds(settings, wanted):
        raise SettingsError(f"the tables hold no data{of}: has it ever been ingested?")
    for symbol in sorted(symbols):
        if is_pattern(symbol):
            raise SettingsError(f"--symbol {symbol}: name each instrument, such as BTC-USDT; patterns are not possible")
        parsed = parse_symbol(symbol)
        if not await _holds(settings, [feed for feed in wanted if feed.carries(parsed)], symbol):
            raise SettingsError(f"--symbol {symbol}: the tables hold no data of it{of}; without --symbol you see all")


async def _holds(settings: Settings, feeds: Iterable[Feed], symbol: str = "") -> bool:
    """Return whether any table has data of the feeds' exchanges, or of one of their instruments."""
    condition = " AND symbol = {symbol:String}" if symbol else ""
    selected = [
        f"(SELECT 1 FROM {table} WHERE exchange = '{exchange}'{condition} LIMIT 1)"
        for table in _TABLES
        for exchange in sorted({feed.exchange for feed in feeds})
    ]
    return bool(selected and await rows_of(settings, " UNION ALL ".join(selected), {"symbol": symbol}))


def _gap(row: list[Any]) -> Entry:
    exchange, symbol, channel, gap_id, cause, first, last, begin, opened, closed, filled = row
    begin, opened, closed = int(begin), int(opened), int(closed)
    if channel == "books":
        return Entry(exchange, symbol, "books", begin, closed, "lost", cause, gap_id=gap_id)
    # A gap with numbers closes when they have arrived, one without when trades arrive again.
    state: State = "filled" if filled else "arrived" if first and closed else "missing"
    end = opened if first else closed
    return Entry(exchange, symbol, "trades", begin, end, state, cause, "", gap_id, first, last)


def _numbers(first: str, last: str) -> str:
    count = int(last) - int(first) + 1
    return f"{count:,} trades, {first} to {last}" if count > 1 else f"1 trade, {first}"


def _candles(row: list[Any]) -> Entry:
    exchange, symbol, interval, begin, end = row
    return Entry(exchange, symbol, "candles", int(begin), int(end), "missing", interval=interval)
