"""Run jobs against a real broker: each run's result is in the topic, and no job runs twice at a time."""

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from marketprism.jobs.execution import execute, execute_as
from marketprism.jobs.outcome import SILENT, Outcome, Reporter, Work
from marketprism.jobs.run_log import HOST, past_runs
from schemas.errors import StackError, StorageError
from schemas.jobs import JobRun, encode_run
from schemas.settings import Settings, load_settings
from schemas.topics import JOB_RUNS


async def succeeds(settings: Settings, reporter: Reporter) -> Outcome:
    return Outcome("2 done", {"done": 2})


async def refuses(settings: Settings, reporter: Reporter) -> Outcome:
    raise StorageError("ClickHouse is away")


async def is_buggy(settings: Settings, reporter: Reporter) -> Outcome:
    raise KeyError("bug")


class Waiting:
    """Work that goes on until it is released."""

    def __init__(self) -> None:
        self.started, self.release = asyncio.Event(), asyncio.Event()

    async def __call__(self, settings: Settings, reporter: Reporter) -> Outcome:
        self.started.set()
        await self.release.wait()
        return Outcome("released", {})


async def run(settings: Settings, work: Work, job: str = "gaps", **more: Any) -> JobRun:
    return await asyncio.wait_for(execute(settings, job, work, SILENT, **more), 30)


@pytest.mark.parametrize(
    ("work", "state", "summary", "figures"),
    [
        (succeeds, "ok", "2 done", {"done": 2}),
        (refuses, "failed", "ClickHouse is away", {}),
        (is_buggy, "failed", "'bug'", {}),
    ],
)
async def test_a_result_is_kept(
    settings: Settings, work: Work, state: str, summary: str, figures: dict[str, int]
) -> None:
    """A run's result is what others read of it, also if it failed."""
    ended = await run(settings, work)
    assert (ended.state, ended.summary, ended.figures) == (state, summary, figures)
    assert ended.finished_at > ended.started_at
    assert await past_runs(settings) == [ended]


async def test_too_long(settings: Settings) -> None:
    """A run that takes longer than it may has failed."""
    ended = await run(settings, Waiting(), limit_s=0.05)
    assert (ended.state, ended.summary) == ("failed", "it did not end within 0.05 s: what was done is kept")


async def test_a_job_does_not_run_twice_at_a_time(settings: Settings) -> None:
    """A second run is skipped while the first goes on, which says so again and again; another job is not."""
    waiting = Waiting()
    first = asyncio.create_task(run(settings, waiting))
    await waiting.started.wait()
    second = await run(settings, succeeds)
    running = f"gaps is running already (process {second.pid} on {second.host})"
    assert (second.state, second.summary) == ("skipped", running)
    with pytest.raises(StackError, match="gaps is running already"):
        await execute_as(settings, "gaps", "marketprism backfill", lambda: asyncio.sleep(0))
    assert (await run(settings, succeeds, "quality")).state == "ok"
    assert [each.state for each in await past_runs(settings)] == ["running", "skipped", "skipped", "ok"]
    waiting.release.set()
    assert (await first).state == "ok"
    assert (await run(settings, succeeds)).state == "ok"


async def test_two_at_the_same_moment(settings: Settings) -> None:
    """Of two that start together, just one works."""
    done: list[int] = []

    async def work(settings: Settings, reporter: Reporter) -> Outcome:
        done.append(1)
        await asyncio.sleep(0.5)
        return Outcome("", {})

    ended = await asyncio.gather(run(settings, work), run(settings, work))
    assert sorted(each.state for each in ended) == ["ok", "skipped"]
    assert len(done) == 1


async def test_an_interrupted_run(settings: Settings) -> None:
    """A run that is cancelled says so, and does not stand in the way of the next."""
    waiting = Waiting()
    task = asyncio.create_task(run(settings, waiting))
    await waiting.started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    [interrupted] = await past_runs(settings)
    assert (interrupted.state, interrupted.summary) == ("interrupted", "it was stopped")
    assert (await run(settings, succeeds)).state == "ok"


async def test_a_killed_run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that has stopped saying that it goes on counts as interrupted, and the next one goes on."""
    killed = JobRun(id="a", job="gaps", state="running", started_at=1)
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka) as producer:
        topic = settings.topic(JOB_RUNS)
        await producer.send_and_wait(topic, b'{"id":"a","job":"gaps","state":"running","started_at":1}')
        await producer.send_and_wait(topic, b'{"of": "another version"}')
    assert await past_runs(settings) == [killed]
    assert (await run(settings, succeeds)).state == "skipped"
    await asyncio.sleep(0.05)
    monkeypatch.setattr("marketprism.jobs.run_log._SILENT_MS", 20)
    assert (await run(settings, succeeds)).state == "ok"
    found = (await past_runs(settings))[0]
    assert (found.state, found.id) == ("interrupted", "a")
    assert "its process was killed" in found.summary


async def test_killed_on_this_machine(settings: Settings) -> None:
    """A run whose process is gone stands in nobody's way: a backfill that was killed can be continued at once."""
    gone = await asyncio.create_subprocess_exec("true")
    await gone.wait()
    killed = JobRun(id="a", job="gaps", state="running", started_at=1, pid=gone.pid, host=HOST)
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka) as producer:
        await producer.send_and_wait(settings.topic(JOB_RUNS), encode_run(killed))
    assert [each.state for each in await past_runs(settings)] == ["interrupted"]
    assert (await run(settings, succeeds)).state == "ok"


async def test_a_run_goes_on_saying_so(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long run is not taken for a killed one."""
    monkeypatch.setattr("marketprism.jobs.execution.BEAT_S", 0.05)
    monkeypatch.setattr("marketprism.jobs.run_log._SILENT_MS", 1000)
    waiting = Waiting()
    task = asyncio.create_task(run(settings, waiting))
    await waiting.started.wait()
    await asyncio.sleep(1.5)
    assert (await run(settings, succeeds)).state == "skipped"
    waiting.release.set()
    assert (await task).state == "ok"


async def test_work_of_a_command(settings: Settings) -> None:
    """What a command does is a run of its job, and its error the command's."""

    async def fails() -> None:
        raise StorageError("no")

    await execute_as(settings, "gaps", "marketprism backfill", lambda: asyncio.sleep(0))
    with pytest.raises(StackError, match="no"):
        await execute_as(settings, "gaps", "marketprism backfill", fails)
    assert [(each.state, each.summary) for each in await past_runs(settings)] == [
        ("ok", "`marketprism backfill`"),
        ("failed", "no"),
    ]


async def test_without_a_broker_or_the_topic(settings: Settings) -> None:
    """The error says what to do."""
    for where, text in (
        (load_settings(kafka="127.0.0.1:1"), "no broker answers at 127.0.0.1:1"),
        (settings.model_copy(update={"topic_prefix": "none."}), "no topic none.control.jobs .*`marketprism topics"),
    ):
        with pytest.raises(StackError, match=text):
            await run(where, succeeds)
        with pytest.raises(StackError, match=text):
            await past_runs(where)
