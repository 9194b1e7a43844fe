"""Fill one kind of one instrument: ask for what the tables lack, and write the answers to the raw topic.

What is stored is the progress: a run that was killed is continued by the next, which first waits until everything that
was written has been stored.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from marketprism.backfill.job import Job
from marketprism.backfill.page import Page, Source
from marketprism.backfill.stored import Stored
from marketprism.captures.replay_sender import ReplaySender
from marketprism.ops.lag import until_stored
from schemas.errors import ExchangeError
from schemas.keys import input_partition_of, split_key
from schemas.markers import History, Markers, one_line
from schemas.raw import encode_marker
from schemas.settings import Settings


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


class Backfill:
    """Filling of one job: `async with ReplaySender(…) as sender: await Backfill(…).run()`."""

    def __init__(
        self,
        settings: Settings,
        sender: ReplaySender,
        job: Job,
        stored: Stored,
        sources: Sequence[Source],
        report: Report,
    ) -> None:
        self.summary = Summary()
        self._settings = settings
        self._sources = sources
        self._sender = sender
        self._job = job
        self._report = report
        self._stored = stored
        self._began = time.monotonic()

    async def run(self) -> Summary:
        """Fill what is missing, and wait until it is stored."""
        await self._wait("waiting for what came before it", 0.0)
        for number, source in enumerate(self._sources):
            await self._fill(source, number, len(self._sources))
        await self._sender.flush()
        await self._wait("waiting until it is stored", 1.0)
        self.summary.stored = await self._stored.count()
        return self.summary

    async def _wait(self, what: str, done: float) -> None:
        self._tell(what, done)
        await until_stored(self._settings, self._job.instrument.exchange, self._job.topic)

    async def _fill(self, source: Source, number: int, of: int) -> None:
        span = source.span
        try:
            async for page in source.pages:
                await self._write(source, page)
                self._tell(source.name, (number + (page.position - span.begin) / (span.end - span.begin)) / of)
        except ExchangeError as error:
            raise ExchangeError(f"{error}. What was received is kept: run the same command again to continue") from None
        self.summary.note = source.note

    async def _write(self, source: Source, page: Page) -> None:
        marker = marker_of(self._job, source.channel, page)
        add_marker(self._sender, self._settings, self._job.instrument.key, marker)
        self._sender.close_batches()
        await self._sender.send_records()
        self.summary.requests += 1
        self.summary.rows += page.rows

    def _tell(self, what: str, done: float) -> None:
        self.summary.seconds = time.monotonic() - self._began
        self._report(self.summary, what, done)


def add_marker(sender: ReplaySender, settings: Settings, key: str, marker: Markers) -> None:
    """Add a marker about an instrument to what is sent to the raw topic."""
    exchange, now = split_key(key)[0], time.time_ns()
    sender.add((exchange, input_partition_of(key, settings.partitions), now, encode_marker(now, key, marker)))


def marker_of(job: Job, channel: str, page: Page) -> History:
    """Return the marker of an answer."""
    return History(
        channel=channel,
        path=page.path,
        begin=page.span.begin,
        end=page.span.end,
        instrument=job.instrument.model_dump(),
        known=page.known,
        body=one_line(page.body),
    )
