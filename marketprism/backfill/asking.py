"""Ask an exchange's REST API for what is missing, page by page, oldest first where the exchange allows it."""

import asyncio
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Protocol
from urllib.parse import urlencode

from ingest.exchanges.history import ByNumber, ByPage, ByTime, HistoryRow, Params
from ingest.rest import Rest
from ingest.supervision import backoff_delay
from marketprism.backfill.holes import Span, holes, pages, within
from marketprism.backfill.job import Job, lengths_of
from marketprism.backfill.page import Page
from schemas.errors import ExchangeError, RejectedError
from schemas.limits import MAX_FRAME

_SECOND = 1_000_000  # µs
_HOUR = 3600 * _SECOND
_CHUNK = 100_000  # rows of which the stored ones are asked for at a time
_ATTEMPTS = 20  # failures in a row after which an exchange counts as away
_LONGEST_WAIT = 15.0  # s between two of them
_MOST_MERGED = 1000  # fills of one trade


class Tables(Protocol):
    """What the tables hold of a job (`Stored`)."""

    async def times(self, span: Span, step: int, scope: str = "") -> list[int]: ...
    async def busy_hours(self, span: Span) -> set[int]: ...
    async def trades(self, span: Span) -> dict[str, int]: ...
    async def is_unbroken(self, span: Span) -> bool: ...


class Asking:
    """The requests for one endpoint of a job."""

    def __init__(self, rest: Rest, row: HistoryRow, job: Job, stored: Tables) -> None:
        self._rest = rest
        self._row = row
        self._job = job
        self._stored = stored
        self._query = row.query(job.instrument.exchange_symbol, row.intervals.get(job.interval, ""))
        self._numbers: dict[Span, int | None] = {}

    def pages(self, span: Span) -> AsyncIterator[Page]:
        """Return the answers that fill a span. Raise `ExchangeError` if the exchange rejects a request, or is away."""
        match self._row.paging:
            case ByTime() as paging:
                return self._by_time(paging, span)
            case ByPage() as paging:
                return self._by_page(paging, span)
            case ByNumber() as paging:
                return self._by_number(paging, span)

    async def _get(self, path: str, weight: float, parameters: Mapping[str, str]) -> tuple[bytes, list[Any]]:
        for attempt in range(_ATTEMPTS):
            try:
                body = await self._rest.get(path, weight, **self._query, **parameters)
                return body, self._row.rows(body)
            except RejectedError:
                raise
            except ExchangeError:
                if attempt == _ATTEMPTS - 1:
                    raise
                await asyncio.sleep(min(backoff_delay(attempt), _LONGEST_WAIT))
        raise AssertionError("unreachable")

    async def _page(
        self,
        parameters: Params,
        span: Span,
        known: Callable[[list[Any]], list[str]],
        position: Callable[[list[Any]], int],
    ) -> tuple[Page, list[Any]]:
        body, rows = await self._get(self._row.path, self._row.weight, parameters)
        if len(body) > MAX_FRAME:
            raise RejectedError(f"an answer of {len(body)} bytes is too large to be kept")
        path = f"{self._row.path}?{urlencode(self._query | parameters)}"
        return Page(path, body, len(rows), span, known(rows), position(rows)), rows

    # By time

    async def _by_time(self, paging: ByTime, span: Span) -> AsyncIterator[Page]:
        step, spacing = _lengths(paging, self._job.interval)
        longest = paging.most * step
        if paging.longest_s:
            longest = min(longest, int(paging.longest_s * _SECOND))
        for begin in range(span.begin, span.end, _CHUNK * step):
            chunk = Span(begin, min(begin + _CHUNK * step, span.end))
            known = await self._stored.times(chunk, step, self._row.scope)
            for part in pages(holes(chunk, known, step, spacing), longest):
                parameters = paging.parameters(part.begin // 1000, part.end // 1000, paging.most)
                there = [str(time) for time in within(known, part)]
                page, _ = await self._page(parameters, part, lambda rows: there, lambda rows: part.end)  # noqa: B023
                yield page

    # By page

    async def _by_page(self, paging: ByPage, span: Span) -> AsyncIterator[Page]:
        known = await self._known_of_pages(paging, span)
        if known is None:
            return
        number = 1
        while (parameters := paging.parameters(number)) is not None:
            page, rows = await self._page(parameters, span, lambda rows: known, lambda rows: span.end)
            if not rows:
                return
            yield page
            if min(map(paging.time, rows)) * 1000 < span.begin:
                return
            number += 1

    async def _known_of_pages(self, paging: ByPage, span: Span) -> list[str] | None:
        """Return the names of what is stored; None if nothing is missing."""
        if self._job.kind == "trades":
            return list(await self._stored.trades(span))
        step = spacing = int(paging.step_s * _SECOND)
        if self._job.kind == "candles":
            step, spacing = lengths_of(self._job.interval)
        known = await self._stored.times(span, step or 1, self._row.scope)
        if spacing and not holes(span, known, step, spacing):
            return None
        return list(map(str, known))

    # By number

    async def _by_number(self, paging: ByNumber, span: Span) -> AsyncIterator[Page]:
        busy = await self._stored.busy_hours(span)
        for part in _hours(span, busy):
            around = Span(part.begin - _SECOND, part.end + _SECOND)  # times may be rounded differently
            stored = await self._stored.trades(around) if part.begin // _HOUR in busy else {}
            async for page in self._trades(paging, part, stored):
                yield page

    async def _trades(self, paging: ByNumber, span: Span, stored: dict[str, int]) -> AsyncIterator[Page]:
        """Yield the pages of a span, without those of which all trades are stored."""
        number, stop = await self._first(paging, span), await self._number_at(paging, span.end)
        inside = sum(span.begin <= at < span.end for at in stored.values())
        if number is None or (stop is not None and inside >= stop - number):
            return
        there = StoredTrades(stored, paging)
        while True:
            number = there.next_missing(number)
            if stop is not None and number >= stop:
                return
            last = number, span.begin // 1000
            page, rows = await self._page(
                paging.parameters(number), span, there.known, lambda rows: _position(paging, rows, span)
            )
            if rows:
                yield page
                last = max(map(paging.place, rows))
            if last[0] >= number and rows:
                number = last[0] + 1
            elif stop is None or not paging.most_between:
                return
            else:
                number += paging.most_between  # none of these numbers was used
            if last[1] * 1000 >= span.end:
                return

    async def _first(self, paging: ByNumber, span: Span) -> int | None:
        """Return the number of the first trade in a span; None if there is none."""
        if paging.is_after_older:
            number = await self._number_at(paging, span.begin)
            return await self._first_of_all(paging, span) if number is None else number
        # Before a listing there may be years without a trade.
        begin, length, longest = span.begin, _HOUR, int(paging.longest_first_s * _SECOND) or span.end - span.begin
        while begin < span.end:
            part = Span(begin, max(min(begin + length, span.end), begin + _HOUR))
            try:
                if (number := await self._number_in(paging, part)) is not None:
                    return number
            except RejectedError:
                if length == _HOUR:
                    raise
                length = longest = _HOUR  # the exchange has come to limit the range
                continue
            begin, length = part.end, max(min(2 * length, longest), _HOUR)
        return None

    async def _first_of_all(self, paging: ByNumber, span: Span) -> int | None:
        """Return the number of the first trade in a span before which there is none; None if there is none in it."""
        number, (none_before, some_before) = await self._number_at(paging, span.end), (at // 1000 for at in span)
        if number is None:
            return None
        while some_before - none_before > 1:
            middle = (none_before + some_before) // 2
            if (found := await self._number_at(paging, middle * 1000)) is None:
                none_before = middle
            else:
                number, some_before = found, middle
        # Several may have the same time.
        _, rows = await self._get(self._row.path, self._row.weight, paging.parameters(number - paging.most_between))
        return min((paging.place(row)[0] for row in rows), default=number)

    async def _number_at(self, paging: ByNumber, at: int) -> int | None:
        """Return the number of the first trade within an hour from a time on; None if there is none."""
        return await self._number_in(paging, Span(at, at + _HOUR))

    async def _number_in(self, paging: ByNumber, span: Span) -> int | None:
        if span not in self._numbers:
            parameters = paging.first(span.begin // 1000, span.end // 1000)
            _, rows = await self._get(paging.first_path, paging.first_weight, parameters)
            self._numbers[span] = paging.number(rows)
        return self._numbers[span]


class StoredTrades:
    """The trades that are stored of a span, by id, and by number if that is their id."""

    def __init__(self, stored: dict[str, int], paging: ByNumber) -> None:
        self._stored = stored
        self._paging = paging
        self._numbers = sorted(int(name) for name in stored if name.isdecimal()) if paging.by_id else []
        self._set = set(self._numbers)

    def next_missing(self, number: int) -> int:
        """Return the first number from the given one on that is not stored."""
        while number in self._set:
            number += 1
        return number

    def known(self, rows: list[Any]) -> list[str]:
        """Return the ids of an answer's trades that are stored, by themselves or merged into another."""
        if not self._stored or not rows:
            return []
        places = list(map(self._paging.place, rows))
        if self._paging.by_id:
            return [str(number) for number, time in places if number in self._set or self._is_merged(number, time)]
        times = [time for _, time in places]
        first, last = min(times) * 1000, max(times) * 1000 + 999
        return [name for name, time in self._stored.items() if first <= time <= last]

    def _is_merged(self, number: int, time_ms: int) -> bool:
        if not self._paging.merged:
            return False
        at = bisect_left(self._numbers, number)
        if at == len(self._numbers) or self._numbers[at] - number >= _MOST_MERGED:
            return False
        return self._stored[str(self._numbers[at])] // 1000 == time_ms


def _lengths(paging: ByTime, interval: str) -> tuple[int, int]:
    if not paging.step_s:
        return lengths_of(interval)
    return int(paging.step_s * _SECOND), int(paging.spacing_s * _SECOND)


def _hours(span: Span, busy: set[int]) -> list[Span]:
    """Split a span into hours in which something is stored, and longer spans in which nothing is."""
    parts: list[Span] = []
    at = span.begin
    while at < span.end:
        end = min((at // _HOUR + 1) * _HOUR, span.end)
        is_empty = at // _HOUR not in busy
        if is_empty and parts and (parts[-1].begin // _HOUR) not in busy:
            parts[-1] = Span(parts[-1].begin, end)
        else:
            parts.append(Span(at, end))
        at = end
    return parts


def _position(paging: ByNumber, rows: list[Any], span: Span) -> int:
    last = max((paging.place(row)[1] for row in rows), default=span.end // 1000)
    return max(span.begin, min(last * 1000, span.end))
