"""Commands about the scheduled jobs."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from marketprism.cli.backfill import Bar
from marketprism.cli.common import (
    JsonOption,
    StackOption,
    console,
    plain_table,
    print_json,
    quiet_libraries,
    report_errors,
    say,
    stack_settings,
    time_text,
)
from schemas.errors import SettingsError
from schemas.jobs import JOBS, OFF, JobRun, times_of
from schemas.settings import Settings
from schemas.suggestions import unknown

jobs_app = typer.Typer()

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help=f"Job: {', '.join(JOBS)}.")]

_STYLES = {"ok": "green", "failed": "bold red", "interrupted": "yellow", "skipped": "dim", "running": "cyan"}


@jobs_app.callback(invoke_without_command=True)
def jobs(context: typer.Context, as_json: JsonOption = False, data: StackOption = None) -> None:
    """List the scheduled jobs with their last results, run one now, or show its history.

    They run inside `live`, or as `python -m marketprism.jobs`. The setting `jobs` has their schedules.
    """
    if context.invoked_subcommand:
        return
    with report_errors():
        settings, past = _past(data)
        # What was skipped says nothing: the run that was going on has the result.
        last = {run.job: run for run in past if run.state != "skipped"}
        if as_json:
            print_json([_as_dict(settings, job, last.get(job)) for job in JOBS])
        else:
            _print_overview(settings, last)


@jobs_app.command()
def run(name: NameArgument, as_json: JsonOption = False, data: StackOption = None) -> None:
    """Run one job now, also one that is off.

    The exit status is 1 if it failed, or was running already.
    """
    from marketprism.captures.stopping import unless_stopped
    from marketprism.jobs.execution import execute
    from marketprism.jobs.outcome import Reporter
    from marketprism.jobs.work import WORK

    ended: list[JobRun] = []

    async def execute_now(settings: Settings, bar: Bar) -> None:
        lines = Reporter(bar.show, (lambda line: None) if as_json else say)
        ended.append(await execute(settings, name, WORK[name], lines))

    with report_errors():
        _check_name(name)
        quiet_libraries()
        settings = stack_settings(data)
        with Bar() as bar:
            asyncio.run(unless_stopped(execute_now(settings, bar)))
        if not ended:
            raise SettingsError(f"stopped: `marketprism jobs run {name}` begins again")
    if as_json:
        print_json(msgspec.to_builtins(ended[0]))
    else:
        say(f"{name} {ended[0].state} after {_took(ended[0])}: {ended[0].summary}")
    if ended[0].state != "ok":
        raise typer.Exit(1)


@jobs_app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help=f"Job: {', '.join(JOBS)}. By default, all.")] = "",
    last: Annotated[int, typer.Option(min=1, help="Number of runs to show.")] = 10,
    as_json: JsonOption = False,
    data: StackOption = None,
) -> None:
    """Show the last runs, the newest last. With --json, they have all figures."""
    with report_errors():
        if name:
            _check_name(name)
        found = [run for run in _past(data)[1] if not name or run.job == name][-last:]
    if as_json:
        print_json(msgspec.to_builtins(found))
    elif found:
        console.print(_history(found))
    else:
        say("No runs yet.")


def _check_name(name: str) -> None:
    if name not in JOBS:
        raise SettingsError(unknown("job", name, JOBS))


def _past(data: Any) -> tuple[Settings, list[JobRun]]:
    from marketprism.jobs.run_log import past_runs

    quiet_libraries()
    settings = stack_settings(data)
    return settings, asyncio.run(past_runs(settings))


def _print_overview(settings: Settings, last: dict[str, JobRun]) -> None:
    """Print a table, and below it the summaries, for which it leaves no room on a narrow screen."""
    table, summaries = _table("job", "schedule", "next run", "last run", "took", "outcome"), _table("job", "summary")
    for job in JOBS:
        cells = _cells(last[job]) if job in last else ["never", "", "", JOBS[job].meaning]
        table.add_row(job, settings.jobs[job], _next(settings, job), *cells[:-1])
        summaries.add_row(job, cells[-1])
    console.print(table, "", summaries)


def _history(found: Iterable[JobRun]) -> Table:
    table = _table("job", "run", "took", "outcome", "summary")
    for each in found:
        table.add_row(each.job, *_cells(each))
    return table


def _table(*names: str) -> Table:
    table = plain_table()
    for name in names:
        table.add_column(name, no_wrap=name != "summary")
    return table


def _cells(run: JobRun) -> list[str | Text]:
    return [time_text(run.started_at), _took(run), Text(run.state, _STYLES[run.state]), Text(run.summary)]


def _as_dict(settings: Settings, job: str, last: JobRun | None) -> dict[str, Any]:
    about = {"job": job, "meaning": JOBS[job].meaning, "schedule": settings.jobs[job], "next_run": _next(settings, job)}
    return {**about, "last": msgspec.to_builtins(last)}


def _next(settings: Settings, job: str) -> str:
    schedule = settings.jobs[job]
    return "" if schedule == OFF else f"{next(times_of(schedule, datetime.now(UTC))):%Y-%m-%d %H:%M}"


def _took(run: JobRun) -> str:
    return f"{(run.finished_at - run.started_at) / 1e6:,.1f} s" if run.finished_at else ""
