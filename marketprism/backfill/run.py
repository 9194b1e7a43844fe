"""Run a backfill of several instruments and kinds of one feed, one after the other."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from ingest.exchanges import CONNECTORS
from ingest.exchanges.base import Connector
from ingest.rest import Rest, RestPool
from ingest.uplinks import Uplinks, through_proxies, uplinks_of
from marketprism.backfill.backfill import Backfill, Summary
from marketprism.backfill.download import Downloads
from marketprism.backfill.job import MARGIN, Job, check_kind
from marketprism.backfill.page import Source
from marketprism.backfill.sources import file_sources, find_instrument, rest_sources
from marketprism.backfill.stored import Stored
from marketprism.captures.replay_sender import ReplaySender
from schemas.errors import SettingsError
from schemas.settings import Settings


class Wanted(NamedTuple):
    """What is to be filled: `begin` to before `end`, µs of exchange time."""

    feed: str
    symbols: Sequence[str]
    kinds: Sequence[str]
    interval: str
    begin: int
    end: int


Show = Callable[[str, Summary, str, float], None]  # name, summary so far, what is done now, done part from 0 to 1


async def run(
    settings: Settings,
    wanted: Wanted,
    share: float,
    files: str,
    show: Show,
    say: Callable[[str], None],
    margin: int = MARGIN,
) -> list[Summary]:
    """Fill everything that is wanted, and say what was done.

    `share`: of the exchange's limits. `files`: the address of public data files to read instead of asking; or empty.
    `margin`: µs before now at which the range ends at the latest.

    Raise `SettingsError` if the exchange has no such past, `ExchangeError` if it rejects requests or is away, and
    `StackError` or `StorageError` if a part of the pipeline does not run.
    """
    now = time.time_ns() // 1000
    end = min(wanted.end, now - margin)
    if wanted.begin > now:
        raise SettingsError(f"--from {_iso(wanted.begin)} (UTC) is in the future: begin at a time in the past")
    if wanted.begin >= end:
        raise SettingsError("the range ends less than two minutes before now: live data is stored until then")
    for kind in wanted.kinds:
        check_kind(kind, wanted.interval)
    connector = CONNECTORS[wanted.feed](wanted.kinds, variants=settings.variants_of(wanted.feed))
    uplinks = Uplinks(wanted.feed, "rest", uplinks_of(settings, wanted.feed, "rest", connector.rest))
    hosts = Uplinks(wanted.feed, "rest", through_proxies(settings, wanted.feed, [files]))
    summaries = []
    async with RestPool(settings.rest_connections, share) as pool:
        rest = Rest(wanted.feed, uplinks, connector.limits, pool)

        def prepare(job: Job) -> tuple[Stored, list[Source]]:
            stored = Stored(settings, job)
            if files:
                return stored, file_sources(connector, Downloads(hosts, pool), job, stored)
            return stored, rest_sources(connector, rest, job, stored)

        jobs = [(job, *prepare(job)) for job in await _jobs(connector, rest, wanted, end)]
        async with ReplaySender(settings, [connector.feed.exchange]) as sender:
            for job, stored, sources in jobs:
                name = f"{wanted.feed} {job.instrument.symbol} {job.kind}"
                filling = Backfill(settings, sender, job, stored, sources, lambda *done, name=name: show(name, *done))
                summaries.append(await filling.run())
                say(_told(name, job, summaries[-1]))
    return summaries


async def _jobs(connector: Connector, rest: Rest, wanted: Wanted, end: int) -> list[Job]:
    jobs = []
    for symbol in wanted.symbols:
        instrument = await find_instrument(connector, rest, symbol)
        for kind in wanted.kinds:
            jobs.append(Job(instrument, kind, wanted.interval, wanted.begin, end))
    return jobs


def _told(name: str, job: Job, summary: Summary) -> str:
    rate = summary.rows / max(summary.seconds, 1e-3)
    return (
        f"{name}: {summary.requests:,} requests brought {summary.rows:,} rows in {summary.seconds:,.1f} s "
        f"({rate:,.0f} rows/s); {summary.stored:,} are stored from {_iso(job.begin)} to {_iso(job.end)}. {summary.note}"
    ).rstrip()


def _iso(time_us: int) -> str:
    return datetime.fromtimestamp(time_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
