"""Read what is missing from Binance's public data files."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import urlencode

import orjson
import structlog

from marketprism.backfill.asking import Tables
from marketprism.backfill.download import Downloads, lines_of
from marketprism.backfill.file_names import DataFile, data_files
from marketprism.backfill.holes import Span, holes, within
from marketprism.backfill.job import Job, first_start, lengths_of
from marketprism.backfill.page import Page

log = structlog.get_logger(__name__)

_SECOND, _HOUR = 1_000_000, 3_600_000_000  # µs
_TIME_COLUMNS = {"trades": 4, "aggTrades": 5, "klines": 0}


class FilePages:
    """The pages of one job's files. `data`: trades, aggTrades or klines. `missing`: files that the host lacks."""

    def __init__(self, downloads: Downloads, job: Job, data: str, tables: Tables) -> None:
        self.missing: list[str] = []
        self._downloads = downloads
        self._job = job
        self._data = data
        self._tables = tables
        self._busy: set[int] = set()

    async def pages(self, span: Span) -> AsyncIterator[Page]:
        """Yield the pages of a span, oldest first, without the files of which everything is stored."""
        if self._data != "klines":
            self._busy = await self._tables.busy_hours(span)
        instrument, interval = self._job.instrument, self._job.interval
        files = data_files(instrument.feed, self._data, instrument.exchange_symbol, interval, span, datetime.now(UTC))
        for file in files:
            async for page in self._pages_of(file, span):
                yield page

    async def _pages_of(self, file: DataFile, span: Span) -> AsyncIterator[Page]:
        part = Span(max(span.begin, file.span.begin), min(span.end, file.span.end))
        if await self._is_stored(part):
            return
        async with self._downloads.file(file.path) as found:
            if found is not None:
                name, lines = file.path.rpartition("/")[2], lines_of(found, file.path)
                while (some := await asyncio.to_thread(next, lines, None)) is not None:
                    if page := await self._page(name, some, part):
                        yield page
                return
        if not file.days:
            log.warning("there is no such file", path=file.path)
            self.missing.append(file.path)
        for day in file.days:
            if day.span.begin < span.end:
                async for page in self._pages_of(day, span):
                    yield page

    async def _is_stored(self, part: Span) -> bool:
        if self._data == "klines":
            step, spacing = lengths_of(self._job.interval)
            # A month may not begin with a week.
            starts = part._replace(begin=first_start(part.begin, self._job.interval))
            return not holes(starts, await self._tables.times(part, step), step, spacing)
        return await self._tables.is_unbroken(part) if part.begin // _HOUR in self._busy else False

    async def _page(self, name: str, lines: list[str], part: Span) -> Page | None:
        """Return the page of some lines; None if none of them is in the part of the file that is to be filled."""
        column, rows = _TIME_COLUMNS[self._data], [line.split(",") for line in lines]
        times = [_micros(row[column]) for row in rows if row[0].isdecimal()]
        if not times or times[-1] < part.begin or times[0] >= part.end:
            return None
        parameters = {"symbol": self._job.instrument.exchange_symbol, "file": name}
        if self._data == "klines":
            parameters["interval"] = self._job.interval
        around = Span(times[0], times[-1] + 1)
        return Page(
            f"files/{self._data}?{urlencode(parameters)}",
            orjson.dumps("\n".join(lines)),
            len(times),
            part,
            await self._known(around),
            min(times[-1], part.end),
        )

    async def _known(self, span: Span) -> list[str]:
        if self._data == "klines":
            step, _ = lengths_of(self._job.interval)
            return list(map(str, within(await self._tables.times(span, step), span)))
        if self._busy.isdisjoint(range(span.begin // _HOUR, span.end // _HOUR + 1)):
            return []
        return list(await self._tables.trades(Span(span.begin - _SECOND, span.end + _SECOND)))


def _micros(text: str) -> int:
    """Return a time in ms or µs as µs."""
    time = int(text)
    return time if time > 10**14 else time * 1000
