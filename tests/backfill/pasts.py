"""The past of simulated exchanges, asked for as the command does, processed as by a worker, and kept in memory."""

import time
from typing import Any

import orjson

from ingest.exchanges import CONNECTORS
from ingest.exchanges.history import HistoryRow
from ingest.rest import Rest, RestPool
from marketprism.backfill.asking import Asking
from marketprism.backfill.backfill import marker_of
from marketprism.backfill.holes import Span
from marketprism.backfill.job import Job, channel_of, rows_for
from marketprism.backfill.page import Page
from marketprism.backfill.sources import find_instrument, span_of
from marketprism.simulator import Simulators
from schemas.events import EVENTS
from schemas.raw import encode_marker
from schemas.settings import load_settings
from streams.raw_processor import RawProcessor
from tests.ingest.rigs import uplinks_to

HOUR = 3_600_000_000  # µs


class MemoryTables:
    """What would be stored, of one job: answers the questions of `Stored`."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    async def times(self, span: Span, step: int, scope: str = "") -> list[int]:
        times = (
            event["start"] if "start" in event else event["timestamp"]
            for event in self.events
            if event.get("scope", "") == scope
        )
        is_sampled = step > 1 and not any("start" in event for event in self.events)
        return sorted({at // step * step if is_sampled else at for at in times if span.begin <= at < span.end})

    async def busy_hours(self, span: Span) -> set[int]:
        return {event["timestamp"] // HOUR for event in self.events if span.begin <= event["timestamp"] < span.end}

    async def trades(self, span: Span) -> dict[str, int]:
        found = (event for event in self.events if span.begin <= event["timestamp"] < span.end)
        return {event["id"]: event["timestamp"] for event in found}

    async def is_unbroken(self, span: Span) -> bool:
        ids = {int(event["id"]) for event in self.events}
        inside = {int(name) for name in await self.trades(span)}
        return bool(inside) and set(range(min(inside) - 1, max(inside) + 2)) <= ids


def events_of(job: Job, channel: str, page: Page) -> list[tuple[str, dict[str, Any]]]:
    """Return the events that a page causes, each with its topic. None is a dead letter."""
    line = encode_marker(time.time_ns(), job.instrument.key, marker_of(job, channel, page))
    events = []
    for topic, _, value in RawProcessor(job.instrument.exchange, 0, load_settings()).process(0, line).records:
        event = orjson.loads(value)
        EVENTS[topic].model_validate(event)
        assert topic != "dead_letters", event
        events.append((topic, event))
    return events


class PastReader:
    """Reader of one feed's past: `async with`. `pages`: of the last run."""

    def __init__(self, simulators: Simulators, feed: str, share: float = 1.0) -> None:
        self.simulators = simulators
        self.feed = feed
        self.pages: list[Page] = []
        self._pool = RestPool(8, share)

    async def __aenter__(self) -> "PastReader":
        await self._pool.__aenter__()
        return self

    async def __aexit__(self, *failure: Any) -> None:
        await self._pool.__aexit__(*failure)

    async def read(
        self,
        symbol: str,
        kind: str,
        tables: MemoryTables,
        span: Span,
        interval: str = "1m",
        stop_after: int = 1 << 30,
        variants: dict[str, str] | None = None,
    ) -> list[HistoryRow]:
        """Fill the tables with a kind. Stop after some pages, as if killed."""
        connector = CONNECTORS[self.feed]([kind], variants=variants)
        rest = Rest(self.feed, uplinks_to(self.simulators.endpoints[self.feed]["rest"]), connector.limits, self._pool)
        instrument = await find_instrument(connector, rest, symbol)
        job, self.pages = Job(instrument, kind, interval, *span), []
        rows = rows_for(connector, instrument, kind, interval)
        for row in rows:
            asked = span_of(row, job, time.time_ns() // 1000)
            async for page in Asking(rest, row, job, tables).pages(asked):
                self.pages.append(page)
                found = events_of(job, channel_of(row, interval), page)
                tables.events += [event for topic, event in found if topic == job.topic]
                if len(self.pages) == stop_after:
                    return rows
        return rows
