"""Run jobs on time, by a clock of our own, and as a process."""

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import structlog

from marketprism.jobs.run_log import past_runs
from marketprism.jobs.scheduler import Clock, follow, run_jobs
from marketprism.jobs.work import WORK
from marketprism.local.broker import Broker
from marketprism.local.processes import Child, says
from marketprism.local.roles import JOBS
from marketprism.ops.topics import create_topics
from schemas.jobs import SCHEDULES
from schemas.settings import Settings, load_settings
from tests.jobs.test_execution import Waiting, is_buggy, succeeds

START = datetime(2026, 11, 26, 12, 0, 30, tzinfo=UTC)


class _Over(Exception):
    """Ends the schedule that a test follows."""


class VirtualClock(Clock):
    """Clock that moves only while somebody sleeps."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> datetime:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


async def runs_of(schedule: str, *takes_min: float) -> tuple[list[str], list[int]]:
    """Return when the runs of a schedule begin that take so long, and how many times were skipped after them."""
    clock, begun, durations = VirtualClock(), list[str](), iter(takes_min)

    async def run() -> None:
        begun.append(f"{clock.time:%H:%M:%S}")
        duration = next(durations, None)
        if duration is None:
            raise _Over
        await clock.sleep(60 * duration)

    with structlog.testing.capture_logs() as lines, pytest.raises(_Over):
        await follow("gaps", schedule, run, clock)
    return begun, [line["times"] for line in lines if line["event"].startswith("job skipped")]


async def test_on_time() -> None:
    """A job runs at each time of its schedule, in UTC, whether it took no time or almost up to the next."""
    assert await runs_of("*/30 * * * *", 0, 29.9) == (["12:30:00", "13:00:00", "13:30:00"], [])
    assert await runs_of("5 * * * *", 1) == (["12:05:00", "13:05:00"], [])


async def test_still_running() -> None:
    """Times that come while the job runs are skipped, and this is logged."""
    assert await runs_of("*/30 * * * *", 65, 30) == (["12:30:00", "14:00:00", "15:00:00"], [2, 1])


async def test_after_a_suspension() -> None:
    """A job whose times passed while the machine was suspended runs once, late, and was not running meanwhile."""
    clock = VirtualClock()

    async def sleep(seconds: float) -> None:
        clock.time += timedelta(hours=5)

    async def run() -> None:
        if ran:
            raise _Over
        ran.append(clock.time)

    ran: list[datetime] = []
    clock.sleep = sleep  # type: ignore[method-assign]

    with structlog.testing.capture_logs() as lines, pytest.raises(_Over):
        await follow("gaps", "*/30 * * * *", run, clock)
    assert len(ran) == 1
    assert lines == []


async def test_jobs_do_not_affect_one_another(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that fails is run again, the others go on, and what runs at the end is interrupted."""
    waiting = Waiting()
    works = iter((succeeds, waiting))
    monkeypatch.setitem(WORK, "gaps", is_buggy)
    monkeypatch.setitem(WORK, "quality", lambda *given: next(works)(*given))
    often = {"gaps": "* * * * *", "quality": "* * * * *", "instruments": "off", "retention": "off"}
    task = asyncio.create_task(run_jobs(settings.model_copy(update={"jobs": often}), VirtualClock()))
    await asyncio.wait_for(waiting.started.wait(), 30)
    failures = 0
    async with asyncio.timeout(30):
        while failures < 3:
            past = await past_runs(settings)
            failures = sum(run.state == "failed" for run in past if run.job == "gaps")
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert [run.state for run in await past_runs(settings) if run.job == "quality"] == ["ok", "interrupted"]


async def test_an_outage_of_the_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that are due while the broker is away are logged and left out. The process goes on."""

    async def waited(*_: object) -> None:
        pass

    monkeypatch.setattr("marketprism.jobs.scheduler.wait_for_topics", waited)
    settings = load_settings(kafka="127.0.0.1:1", jobs=dict.fromkeys(SCHEDULES, "off") | {"gaps": "* * * * *"})
    with structlog.testing.capture_logs() as lines:
        task = asyncio.create_task(run_jobs(settings, VirtualClock()))
        async with asyncio.timeout(30):
            while sum(line["event"].startswith("job not run") for line in lines) < 2:
                await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled()
    assert all("no broker answers" in line["reason"] for line in lines if line["event"].startswith("job not run"))


async def test_the_process(broker: Broker, tmp_path: Path) -> None:
    """It waits for its topic, says what it has scheduled, and stops cleanly."""
    settings = load_settings(
        kafka=broker.bootstrap,
        topic_prefix=f"t{uuid4().hex[:8]}.",
        jobs={"gaps": "0 0 1 1 *", "quality": "off", "instruments": "off", "retention": "off"},
    )
    child = Child("jobs", [sys.executable, *JOBS.arguments], tmp_path / "log", says(JOBS.ready), settings.environment())
    child.spawn()
    try:
        async with asyncio.timeout(60):
            while "waiting: topics are missing" not in child.output():
                await asyncio.sleep(0.05)
            await create_topics(settings)
            while not child.ready():
                await asyncio.sleep(0.05)
        assert "01-01 00:00" in child.output()
        assert "quality=" not in child.output()
        os.kill(child.pid or 0, signal.SIGTERM)
        async with asyncio.timeout(10):
            while child.alive():
                await asyncio.sleep(0.05)
        assert child.exit_code == 0
        assert "Traceback" not in child.output()
    finally:
        child.kill()
