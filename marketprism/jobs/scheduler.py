"""Run the jobs on time, each by itself: one that fails or takes long delays no other."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from itertools import takewhile
from typing import Any

import structlog

from ingest.supervision import supervise
from marketprism.jobs.execution import execute
from marketprism.jobs.outcome import SILENT
from marketprism.jobs.work import WORK
from schemas.errors import StackError
from schemas.jobs import OFF, times_of
from schemas.logs import suspect_broker
from schemas.settings import Settings
from schemas.topics import JOB_RUNS
from streams.topic_wait import wait_for_topics

_NAP_S = 30.0  # at a time, as a machine may be suspended or its clock set meanwhile

log = structlog.get_logger(__name__)


class Clock:
    """The time, and waiting for it."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


CLOCK = Clock()


async def run_jobs(settings: Settings, clock: Clock = CLOCK) -> None:
    """Run all jobs that are not off, on time, until cancelled. Wait for the broker and the topic of the runs."""
    await wait_for_topics(settings, [JOB_RUNS])
    schedules = {job: schedule for job, schedule in settings.jobs.items() if schedule != OFF}
    next_runs = {job: f"{next(times_of(schedule, clock.now())):%Y-%m-%d %H:%M}" for job, schedule in schedules.items()}
    log.info("jobs scheduled", **next_runs)
    async with asyncio.TaskGroup() as tasks:
        for job, schedule in schedules.items():
            run = partial(_run, settings, job)
            tasks.create_task(supervise(job, partial(follow, job, schedule, run, clock), log))
        if not schedules:
            log.warning("all jobs are off (setting `jobs`)")
            await asyncio.Event().wait()


async def follow(job: str, schedule: str, run: Callable[[], Awaitable[Any]], clock: Clock) -> None:
    """Run a job at each time of its schedule. Times that come while it runs are skipped."""
    while True:
        due = next(times_of(schedule, clock.now()))
        while (wait := (due - clock.now()).total_seconds()) > 0:
            await clock.sleep(min(wait, _NAP_S))
        began = clock.now()  # later than due after a suspension, whose times it makes up for
        await run()
        if skipped := _count(schedule, began, clock.now()):
            log.warning("job skipped, as it was still running when its time came", job=job, times=skipped)


def _count(schedule: str, after: datetime, until: datetime) -> int:
    return sum(1 for _ in takewhile(until.__ge__, times_of(schedule, after)))


async def _run(settings: Settings, job: str) -> None:
    """Run a job, and log how it ended."""
    said = log.bind(job=job)
    reporter = SILENT._replace(say=lambda line: said.info("job reported", line=line))
    said.info("job started")
    try:
        ended = await execute(settings, job, WORK[job], reporter)
    except asyncio.CancelledError:
        said.info("job interrupted")
        raise
    except StackError as error:
        suspect_broker(str(error))
        said.warning("job not run, or its result is lost", reason=str(error))
    else:
        report = said.warning if ended.state == "failed" else said.info
        seconds = round((ended.finished_at - ended.started_at) / 1e6, 1)
        report(f"job {ended.state}", seconds=seconds, summary=ended.summary)
