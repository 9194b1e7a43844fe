"""The registry of jobs, their schedules, and the records about their runs."""

from datetime import UTC, datetime
from itertools import islice

import pytest

from marketprism.jobs.work import WORK
from schemas.jobs import JOBS, SCHEDULES, JobRun, decode_run, encode_run, times_of
from schemas.settings import load_settings

THURSDAY = datetime(2026, 11, 26, 12, 0, 30, tzinfo=UTC)


def test_every_job_has_work() -> None:
    """Each job of the registry can be run, has a meaning and a valid schedule, which the settings have by default."""
    assert set(WORK) == set(JOBS)
    assert load_settings().jobs == SCHEDULES
    for job in JOBS.values():
        assert job.meaning
        assert next(times_of(job.schedule, THURSDAY)) > THURSDAY


@pytest.mark.parametrize(
    ("schedule", "times"),
    [
        ("*/30 * * * *", ["26 12:30", "26 13:00"]),
        ("0 12 * * *", ["27 12:00", "28 12:00"]),
        ("30 3 * * 0", ["29 03:30", "06 03:30"]),  # 0 is Sunday, as in every cron
        ("30 3 * * sun", ["29 03:30", "06 03:30"]),
    ],
)
def test_times(schedule: str, times: list[str]) -> None:
    """The times of a cron expression are those of cron."""
    assert [f"{time:%d %H:%M}" for time in islice(times_of(schedule, THURSDAY), 2)] == times


def test_a_record() -> None:
    """A run survives the topic. Other records are none."""
    run = JobRun(id="a", job="gaps", state="ok", started_at=1, finished_at=2, summary="x", figures={"n": [1]})
    assert decode_run(encode_run(run)) == run
    assert decode_run(b"{}") is None
    assert decode_run(encode_run(run).replace(b'"ok"', b'"lost"')) is None
