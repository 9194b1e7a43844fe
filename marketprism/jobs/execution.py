"""Run one job once: alone, for a limited time, and with its result in `control.jobs`, whatever happens."""

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import msgspec
import structlog

from marketprism.jobs.outcome import SILENT, Outcome, Reporter, Work
from marketprism.jobs.run_log import BEAT_S, HOST, RunLog
from schemas.errors import MarketPrismError, StackError
from schemas.jobs import JobRun, RunState
from schemas.settings import Settings

LIMIT_S = 3600.0  # that a run may take
_LAST_WORDS_S = 2.0  # for which the result of an interrupted run waits for the broker

log = structlog.get_logger(__name__)


async def execute(
    settings: Settings, job: str, work: Work, reporter: Reporter, limit_s: float | None = LIMIT_S
) -> JobRun:
    """Run a job unless it is running already, and return how it ended. An error of the job is its result.

    Raise `StackError` if the broker is away. If cancelled, the result says so.
    """
    run = JobRun(id=uuid4().hex, job=job, state="running", started_at=_now(), pid=os.getpid(), host=HOST)
    async with RunLog(settings) as runs:
        place = await runs.write(run)
        if rival := await runs.rival_of(run, place):
            ended = _ended(run, "skipped", f"{job} is running already (process {rival.pid} on {rival.host})")
        else:
            ended = await _until_ended(settings, run, work, reporter, limit_s, runs)
        await runs.write(ended)
    return ended


async def execute_as(settings: Settings, job: str, command: str, work: Callable[[], Awaitable[Any]]) -> None:
    """Do what a command was asked for as a run of a job, so that no other run of it goes on meanwhile.

    Raise `StackError` if the job is running already, or with the reason for which the work failed.
    """

    async def done(settings: Settings, reporter: Reporter) -> Outcome:
        await work()
        return Outcome(f"`{command}`", {})

    ended = await execute(settings, job, done, SILENT, limit_s=None)
    if ended.state != "ok":
        raise StackError(ended.summary)


async def _until_ended(
    settings: Settings, run: JobRun, work: Work, reporter: Reporter, limit_s: float | None, runs: RunLog
) -> JobRun:
    beating = asyncio.create_task(_beat(runs, run))
    try:
        async with asyncio.timeout(limit_s) as limit:
            return _ended(run, "ok", *await work(settings, reporter))
    except asyncio.CancelledError:
        beating.cancel()  # before the last word
        with contextlib.suppress(StackError, TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_S):
                await runs.write(_ended(run, "interrupted", "it was stopped"))
        raise
    except MarketPrismError as error:
        return _ended(run, "failed", str(error))
    except Exception as error:
        if limit.expired():
            return _ended(run, "failed", f"it did not end within {limit_s:g} s: what was done is kept")
        log.exception("internal error in a job", job=run.job)  # which must not end the others
        return _ended(run, "failed", str(error) or type(error).__name__)
    finally:
        beating.cancel()


async def _beat(runs: RunLog, run: JobRun) -> None:
    """Write that the run goes on, again and again."""
    while True:
        await asyncio.sleep(BEAT_S)
        with contextlib.suppress(StackError):  # the next one may arrive
            await runs.write(run)


def _ended(run: JobRun, state: RunState, summary: str, figures: Mapping[str, Any] = MappingProxyType({})) -> JobRun:
    return msgspec.structs.replace(run, state=state, finished_at=_now(), summary=summary, figures=dict(figures))


def _now() -> int:
    return time.time_ns() // 1000
