"""Where the past of a job comes from: an exchange's REST API, or Binance's public data files."""

import time
from collections.abc import AsyncIterator

from ingest.exchanges.base import Connector
from ingest.exchanges.history import HistoryRow
from ingest.rest import Rest
from marketprism.backfill.asking import Asking, Tables
from marketprism.backfill.download import Downloads
from marketprism.backfill.file_names import has_files
from marketprism.backfill.file_pages import FilePages
from marketprism.backfill.holes import Span
from marketprism.backfill.job import Job, channel_of, first_start, lengths_of, rows_for
from marketprism.backfill.page import Page, Source
from schemas.channels import candles_of
from schemas.errors import SettingsError
from schemas.instruments import Instrument
from schemas.symbols import Selection

_MILLISECOND, _DAY = 1_000, 86_400_000_000  # µs


async def find_instrument(connector: Connector, rest: Rest, symbol: str) -> Instrument:
    """Return the definition of a symbol. Raise `SettingsError` if the feed does not list it."""
    listing = await connector.instruments(rest, Selection([symbol]))
    if symbol not in listing:
        raise SettingsError(f"{connector.name} does not list {symbol}")
    return listing[symbol]


def rest_sources(connector: Connector, rest: Rest, job: Job, tables: Tables) -> list[Source]:
    """Return the endpoints to ask. Raise `SettingsError`, which says what there is, if there are none."""
    sources = []
    for row in rows_for(connector, job.instrument, job.kind, job.interval):
        span = span_of(row, job, time.time_ns() // 1000)
        pages = Asking(rest, row, job, tables).pages(span) if span.begin < span.end else _nothing()
        sources.append(
            Source(channel_of(row, job.interval), row.scope or job.kind, span, pages, _note_of(row, job, span))
        )
    return sources


def file_sources(connector: Connector, downloads: Downloads, job: Job, tables: Tables) -> list[Source]:
    """Return the public data files to read. Raise `SettingsError` if there are none."""
    if not has_files(connector.name) or job.kind not in ("candles", "trades"):
        raise SettingsError(
            f"--source files has no {job.kind} of {connector.name}: Binance alone publishes candles and trades so"
        )
    if job.kind == "candles":
        rows_for(connector, job.instrument, job.kind, job.interval)  # the files have the intervals of the API
        step, _ = lengths_of(job.interval)
        begin = first_start(job.begin, job.interval)
        span = Span(begin, max(begin, job.end - step + _MILLISECOND))
        files = FilePages(downloads, job, "klines", tables)
        return [Source(candles_of(job.interval), "candles", span, files.pages(span))]
    data = connector.variant_of("trades") or "trades"
    span = Span(job.begin, job.end)
    return [Source("trades", "trades", span, FilePages(downloads, job, data, tables).pages(span))]


async def _nothing() -> AsyncIterator[Page]:
    return
    yield


def _note_of(row: HistoryRow, job: Job, span: Span) -> str:
    if row.latest:
        return f"The exchange offers only the latest {row.latest:,}."
    if row.reach_s and span.begin > job.begin:
        return f"The exchange offers only the last {row.reach_s / 3600:,.0f} hours."
    return ""


def span_of(row: HistoryRow, job: Job, now: int) -> Span:
    """Return the part of a job's range that an endpoint has: of candles, the range of their starts. `now`: µs."""
    begin, end = job.begin, job.end
    if job.kind == "candles":
        step, _ = lengths_of(job.interval)
        end = end - step + _MILLISECOND
        if row.latest:
            begin = max(begin, now - row.latest * step)
        if step <= _DAY:
            begin = first_start(begin, job.interval)  # those of days elsewhere are found anyway
    if row.reach_s:
        begin = max(begin, now - int(row.reach_s * 1_000_000))
    return Span(begin, max(end, begin))
