"""Ask ClickHouse which rows of the past are stored."""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from marketprism.backfill.holes import Span
from marketprism.backfill.job import Job
from schemas.settings import Settings
from sinks.sql.client import run_query

_HOUR = 3_600_000_000  # µs


class _Selected(NamedTuple):
    """The rows of a table that a request would bring. `time`: their column; `more`: a condition on them.
    `scoped`: a condition on those of one endpoint, if several fill the table.

    `sampled`: live rows are taken at any time, so one stands for its whole step.
    """

    time: str
    more: str = "1"
    scoped: str = "1"
    sampled: bool = False


_SELECTED: Mapping[str, _Selected] = {
    "candles": _Selected(
        "start", "origin = 'exchange' AND contract = '' AND interval = {interval:String} AND closed AND complete"
    ),
    "trades": _Selected("timestamp"),
    "funding": _Selected("timestamp", "type = 'settled'"),
    "mark_prices": _Selected("timestamp", sampled=True),
    "open_interest": _Selected("timestamp", sampled=True),
    "long_short_ratios": _Selected("timestamp", "period = '5m'", "scope = {scope:String}"),
}


class Stored:
    """What the tables hold of one job."""

    def __init__(self, settings: Settings, job: Job) -> None:
        self._settings = settings
        self._job = job
        self._selected = _SELECTED[job.kind]

    async def times(self, span: Span, step: int, scope: str = "") -> list[int]:
        """Return the times of the stored rows in a span, in order, µs."""
        time = f"toUnixTimestamp64Micro({self._selected.time})"
        if self._selected.sampled:
            time = f"intDiv({time}, {{step:Int64}}) * {{step:Int64}}"
        rows = await self._query(f"SELECT DISTINCT {time}", "ORDER BY 1", span, step=step, scope=scope)
        return [int(row[0]) for row in rows]

    async def busy_hours(self, span: Span) -> set[int]:
        """Return the hours since the epoch in which trades are stored."""
        time = f"toUnixTimestamp64Micro({self._selected.time})"
        rows = await self._query(f"SELECT DISTINCT intDiv({time}, {_HOUR})", "", span)
        return {int(row[0]) for row in rows}

    async def trades(self, span: Span) -> dict[str, int]:
        """Return the ids and the times (µs) of the stored trades in a span."""
        rows = await self._query("SELECT id, toUnixTimestamp64Micro(timestamp)", "", span)
        return {str(name): int(time) for name, time in rows}

    async def is_unbroken(self, span: Span) -> bool:
        """Return whether no number is missing among the trades of a span, and between them and those around it."""
        number = "toInt64OrZero(id)"
        select = f"SELECT uniqExact({number}), min({number}), max({number})"
        [[count, first, last]] = await self._query(select, "", span)
        if not int(count) or int(count) != int(last) - int(first) + 1:
            return False
        neighbours = f"AND id IN ('{int(first) - 1}', '{int(last) + 1}')"
        around = Span(span.begin - _HOUR, span.end + _HOUR)
        [[found]] = await self._query("SELECT uniqExact(id)", neighbours, around)
        return int(found) == 2

    async def count(self) -> int:
        """Return the number of different stored rows in the range of the job."""
        what = {"trades": "id", "long_short_ratios": "(scope, timestamp)"}.get(self._job.kind, self._selected.time)
        [[count]] = await self._query(f"SELECT uniqExact({what})", "", Span(self._job.begin, self._job.end))
        return int(count)

    async def _query(self, select: str, rest: str, span: Span, **more: object) -> list[list[Any]]:
        job, time = self._job, self._selected.time
        scoped = self._selected.scoped if more.get("scope") else "1"
        query = (
            f"{select} FROM {job.kind} WHERE exchange = {{exchange:String}} AND symbol = {{symbol:String}} "
            f"AND {time} >= fromUnixTimestamp64Micro({{begin:Int64}}) "
            f"AND {time} < fromUnixTimestamp64Micro({{end:Int64}}) AND {self._selected.more} AND {scoped} {rest}"
        )
        given = {
            "exchange": job.instrument.exchange,
            "symbol": job.instrument.symbol,
            "interval": job.interval,
            "begin": span.begin,
            "end": span.end,
            **more,
        }
        parameters = {name: str(value) for name, value in given.items() if f"{{{name}:" in query}
        return await rows_of(self._settings, query, parameters)


async def rows_of(settings: Settings, query: str, parameters: Mapping[str, str]) -> list[list[Any]]:
    """Return the rows of a query as lists of their cells."""
    answer = await asyncio.to_thread(run_query, settings, query, "JSONCompactEachRow", parameters)
    return [orjson.loads(row) for row in answer.splitlines()]
