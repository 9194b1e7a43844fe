"""The scheduled jobs: what each does and when it runs by default, and the records of `control.jobs` about its runs.

The work itself is in `marketprism/jobs/`.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Struct

OFF = "off"  # in the place of a schedule
_FORM = "write minute, hour, day, month and weekday as in cron, in UTC, or off"


class Job(NamedTuple):
    """One job. `schedule`: a cron expression in UTC, unless the setting `jobs` has another."""

    name: str
    meaning: str
    schedule: str


JOBS: dict[str, Job] = {
    job.name: job
    for job in (
        Job("gaps", "fill the holes of the last 24 hours from the exchanges' REST history", "*/30 * * * *"),
        Job("quality", "report the data quality of the last full hour", "5 * * * *"),
        Job("instruments", "make ingest read the exchanges' listings now", "0 0 * * *"),
        Job("retention", "drop the ClickHouse parts whose rows are all past `retention_days`", "30 3 * * *"),
    )
}
SCHEDULES: dict[str, str] = {job.name: job.schedule for job in JOBS.values()}


def times_of(schedule: str, after: datetime) -> Iterator[datetime]:
    """Return the times of a cron expression after a time. Raise `ValueError`, which names the bad field."""
    from cronsim import CronSim, CronSimError  # here, as the processes of the hot path have no schedules

    if len(schedule.split()) != 5:  # with six, the first would be seconds
        raise ValueError(f"{schedule!r:.80} does not have five fields: {_FORM}")
    try:
        times = CronSim(schedule, after)
        next(CronSim(schedule, after))
    except CronSimError as error:
        raise ValueError(f"{schedule!r:.80} has a {str(error).lower()}: {_FORM}") from None
    except StopIteration:
        raise ValueError(f"{schedule!r:.80} has no date that exists: {_FORM}") from None
    return times


RunState = Literal["running", "ok", "failed", "interrupted", "skipped"]


class JobRun(Struct, frozen=True, kw_only=True):
    """State of one run: `running` at its start and every few seconds from then on, at last how it ended.

    `started_at`, `finished_at`: µs since the epoch; the latter is 0 while it runs. `pid`, `host`: where it runs.
    `skipped`: the job was running already. `interrupted`: its process was stopped.
    """

    id: str
    job: str
    state: RunState
    started_at: int
    finished_at: int = 0
    pid: int = 0
    host: str = ""
    summary: str = ""
    figures: dict[str, Any] = {}


encode_run = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(JobRun)


def decode_run(value: bytes) -> JobRun | None:
    """Decode a record of `control.jobs`. Return None for one of another version."""
    try:
        run: JobRun = _decoder.decode(value)
    except msgspec.MsgspecError:
        return None
    return run
