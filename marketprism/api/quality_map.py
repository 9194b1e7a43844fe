"""Heat map of the data's quality: what each feed's channels delivered, and what was missing, over time."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from marketprism.api.queries import Queries
from marketprism.api.spans import WITHIN, Span
from schemas.errors import SymbolError
from schemas.events import KINDS
from schemas.feeds import FEEDS, feed_of

# Instruments of one exchange whose symbols have this in common are of one feed, so that one of them tells which.
_SHAPE = """exchange, length(splitByChar('-', symbol)), splitByChar('-', symbol)[2] = 'USD',
    splitByChar('-', symbol)[3] = 'PERP'"""
_CELL = "intDiv(toUnixTimestamp64Micro(local_timestamp) - {start:Int64}, {step:Int64}) AS cell"

_REPORTS = f"""
SELECT
    exchange, any(symbol) AS example, channel, {_CELL}, countIf(type = 'report') AS reports,
    sumIf(messages, type = 'report') AS messages, maxIf(age, type = 'report') AS max_age,
    countIf(type = 'silent') AS silent
FROM status
ARRAY JOIN channels AS channel
WHERE type IN ('report', 'silent') AND {WITHIN}
GROUP BY {_SHAPE}, channel, cell
"""
_DIFFERENCES = f"""
SELECT exchange, any(symbol) AS example, 'books' AS channel, {_CELL}, sum(differed) AS differed
FROM quality
WHERE type = 'report' AND check = 'book' AND {WITHIN}
GROUP BY {_SHAPE}, cell
HAVING differed > 0
"""
# An open gap is known from its opening, which is looked for in the day before, too.
_GAPS = f"""
WITH {{start:Int64}} + cell * {{step:Int64}} AS cell_start, cell_start + {{step:Int64}} AS cell_end
SELECT
    exchange, any(symbol) AS example, channel, cell,
    countIf(opened >= cell_start AND opened < cell_end) AS gaps,
    sum(greatest(0, least(closed, cell_end) - greatest(opened, cell_start))) AS gap_time
FROM
(
    SELECT
        exchange, symbol, id, channel,
        toUnixTimestamp64Micro(min(since)) AS opened,
        if(countIf(type = 'closed') > 0, toUnixTimestamp64Micro(maxIf(local_timestamp, type = 'closed')), {{end:Int64}})
            AS closed,
        greatest(closed, opened + 1) AS until,
        intDiv(greatest(opened, {{start:Int64}}) - {{start:Int64}}, {{step:Int64}}) AS first,
        intDiv(least(until, {{end:Int64}}) - 1 - {{start:Int64}}, {{step:Int64}}) AS last
    FROM gaps
    WHERE local_timestamp >= fromUnixTimestamp64Micro({{start:Int64}}, 'UTC') - INTERVAL 1 DAY
        AND local_timestamp < fromUnixTimestamp64Micro({{end:Int64}}, 'UTC')
    GROUP BY exchange, symbol, id, channel
    HAVING until > {{start:Int64}} AND opened < {{end:Int64}}
)
ARRAY JOIN range(toUInt64(first), toUInt64(last) + 1) AS cell
GROUP BY {_SHAPE}, channel, cell
"""
_TRUTH = f"""
SELECT exchange, symbol, sum(compared) AS compared, sum(agreed) AS agreed, sum(differed) AS differed
FROM quality
WHERE type = 'report' AND check = 'book' AND {WITHIN}
GROUP BY exchange, symbol
ORDER BY differed DESC, exchange, symbol
LIMIT 1000
"""


@dataclass(slots=True)
class Cell:
    """One channel of a feed in one step of time. `max_age` and `gap_time`: µs, the latter summed over instruments."""

    messages: int = 0
    max_age: int = 0
    gaps: int = 0
    gap_time: int = 0
    differed: int = 0
    silent: int = 0


class _Map:
    """Cells by feed and channel."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._cells: dict[tuple[str, str], list[Cell | None]] = {}

    def add(self, rows: Iterable[dict[str, Any]]) -> None:
        """Add the figures of some cells; of ages the longest counts."""
        for row in rows:
            cell = self._cell(row)
            if cell is not None:
                for name in ("messages", "gaps", "gap_time", "differed", "silent"):
                    setattr(cell, name, getattr(cell, name) + int(row.get(name, 0)))
                cell.max_age = max(cell.max_age, int(row.get("max_age", 0)))

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows in the order of feeds and kinds."""
        feeds = list(FEEDS)

        def place(key: tuple[str, str]) -> tuple[int, int, str]:
            feed, channel = key
            return feeds.index(feed), KINDS.index(channel) if channel in KINDS else len(KINDS), channel

        return [
            {"feed": feed, "channel": channel, "cells": self._cells[feed, channel]}
            for feed, channel in sorted(self._cells, key=place)
        ]

    def _cell(self, row: dict[str, Any]) -> Cell | None:
        try:
            feed = feed_of(row["exchange"], row["example"]).name
        except SymbolError:  # a currency, or an exchange that this version does not have
            return None
        cells = self._cells.setdefault((feed, row["channel"]), [None] * self._columns)
        column = int(row["cell"])
        cell = cells[column] = cells[column] or Cell()
        return cell


async def quality_map(queries: Queries, span: Span, columns: int) -> dict[str, Any]:
    """Return the map of a span, whose length is a multiple of `columns`, and the truth check of each instrument."""
    step = (span.end - span.start) // columns
    given = {"start": str(span.start), "end": str(span.end), "step": str(step)}
    found = await asyncio.gather(*(queries.rows(each, given) for each in (_REPORTS, _DIFFERENCES, _GAPS, _TRUTH)))
    *parts, truth = found
    cells = _Map(columns)
    for rows in parts:
        cells.add(rows)
    counts = ("compared", "agreed", "differed")
    return {
        "start": span.start,
        "end": span.end,
        "step": step,
        "rows": cells.rows(),
        "truth": [row | {name: int(row[name]) for name in counts} for row in truth],
    }
