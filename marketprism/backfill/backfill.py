"""Fill one kind of one instrument: ask for what the tables lack, and write the answers to the raw topic.

What is stored is the progress: a run that was killed is continued by the next, which first waits until everything that
was written has been stored.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from ingest.exchanges.base import Connector
from ingest.exchanges.history import HistoryRow
from ingest.rest import Rest
from marketprism.backfill.asking import Asking, Page
from marketprism.backfill.holes import Span
from marketprism.backfill.job import Job, channel_of, lengths_of, rows_for
from marketprism.backfill.stored import Stored
from marketprism.captures.replay_sender import ReplaySender
from marketprism.ops.lag import until_stored
from schemas.errors import ExchangeError, SettingsError
from schemas.instruments import Instrument
from schemas.keys import input_partition_of
from schemas.markers import History, one_line
from schemas.raw import encode_marker
from schemas.settings import Settings
from schemas.symbols import Selection

_MILLISECOND, _DAY = 1_000, 86_400_000_000  # µs


@dataclass
class Summary:
    """Result so far: `requests` that brought `rows`, in `seconds`. `stored`: different rows in the tables at the end.

    `note`: what limits the exchange's past, if it did.
    """

    requests: int = 0
    rows: int = 0
    seconds: float = 0.0
    stored: int = 0
    note: str = ""


Report = Callable[[Summary, str, float], None]  # summary so far, what is done now, done part of it from 0 to 1


async def find_instrument(connector: Connector, rest: Rest, symbol: str) -> Instrument:
    """Return the definition of a symbol. Raise `SettingsError` if the feed does not list it."""
    listing = await connector.instruments(rest, Selection([symbol]))
    if symbol not in listing:
        raise SettingsError(f"{connector.name} does not list {symbol}")
    return listing[symbol]


class Backfill:
    """Filling of one job: `async with ReplaySender(…) as sender: await Backfill(…).run()`."""

    def __init__(
        self, settings: Settings, connector: Connector, rest: Rest, sender: ReplaySender, job: Job, report: Report
    ) -> None:
        self.summary = Summary()
        self._settings = settings
        self._connector = connector
        self._rest = rest
        self._sender = sender
        self._job = job
        self._report = report
        self._stored = Stored(settings, job)
        self._began = time.monotonic()

    async def run(self) -> Summary:
        """Fill what is missing, and wait until it is stored."""
        job = self._job
        rows = rows_for(self._connector, job.instrument, job.kind, job.interval)
        await self._wait("waiting until what was written before is stored")
        for number, row in enumerate(rows):
            await self._fill(row, number, len(rows))
        await self._sender.flush()
        await self._wait("waiting until everything is stored")
        self.summary.stored = await self._stored.count()
        return self.summary

    async def _wait(self, what: str) -> None:
        self._tell(what, 1.0 if self.summary.requests else 0.0)
        await until_stored(self._settings, self._job.instrument.exchange, self._job.topic)

    async def _fill(self, row: HistoryRow, number: int, of: int) -> None:
        span = span_of(row, self._job, time.time_ns() // 1000)
        self._note(row, span)
        if span.begin >= span.end:
            return
        try:
            async for page in Asking(self._rest, row, self._job, self._stored).pages(span):
                await self._write(row, page)
                done = (page.position - span.begin) / (span.end - span.begin)
                self._tell(row.scope or self._job.kind, (number + done) / of)
        except ExchangeError as error:
            raise ExchangeError(f"{error}. What was received is kept: run the same command again to continue") from None

    def _note(self, row: HistoryRow, span: Span) -> None:
        if row.latest:
            self.summary.note = f"The exchange offers only the latest {row.latest:,}."
        elif row.reach_s and span.begin > self._job.begin:
            self.summary.note = f"The exchange offers only the last {row.reach_s / 3600:,.0f} hours."

    async def _write(self, row: HistoryRow, page: Page) -> None:
        key, exchange, now = self._job.instrument.key, self._job.instrument.exchange, time.time_ns()
        line = encode_marker(now, key, marker_of(self._job, row, page))
        self._sender.add((exchange, input_partition_of(key, self._settings.partitions), now, line))
        self._sender.close_batches()
        await self._sender.send_records()
        self.summary.requests += 1
        self.summary.rows += page.rows

    def _tell(self, what: str, done: float) -> None:
        self.summary.seconds = time.monotonic() - self._began
        self._report(self.summary, what, done)


def marker_of(job: Job, row: HistoryRow, page: Page) -> History:
    """Return the marker of an answer."""
    return History(
        channel=channel_of(row, job.interval),
        path=page.path,
        begin=page.span.begin,
        end=page.span.end,
        instrument=job.instrument.model_dump(),
        known=page.known,
        body=one_line(page.body),
    )


def span_of(row: HistoryRow, job: Job, now: int) -> Span:
    """Return the part of a job's range that an endpoint has: of candles, the range of their starts. `now`: µs."""
    begin, end = job.begin, job.end
    if job.kind == "candles":
        step, _ = lengths_of(job.interval)
        end = end - step + _MILLISECOND
        if row.latest:
            begin = max(begin, now - row.latest * step)
        if step <= _DAY:
            begin = -(-begin // step) * step  # candles begin at multiples; those of days elsewhere are found anyway
    if row.reach_s:
        begin = max(begin, now - int(row.reach_s * 1_000_000))
    return Span(begin, max(end, begin))
