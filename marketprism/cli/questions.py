"""Commands that answer questions about the system and its data."""

import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import orjson
import typer

from marketprism.cli.common import (
    StackOption,
    console,
    quiet_libraries,
    report_errors,
    say,
    settings_of,
    stack_settings,
)
from marketprism.local.findings import Finding, examine
from schemas.settings import Settings

_MARKS = {True: "[green]ok[/]     ", None: "[yellow]note[/]   ", False: "[red]problem[/]"}
_NOT_RUNNING = 3  # exit status, as of an init script

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def _report(findings: Iterable[Finding], as_json: bool = False) -> None:
    """Print findings. The exit status is 1 if one of them is a problem."""
    found = list(findings)
    if as_json:
        sys.stdout.buffer.write(orjson.dumps([each._asdict() for each in found], option=orjson.OPT_INDENT_2) + b"\n")
    else:
        width = max(len(each.name) for each in found)
        for each in found:
            console.print(_MARKS[each.ok], end="  ")
            say(f"{each.name:<{width}}  {each.text}")
    if any(each.ok is False for each in found):
        raise typer.Exit(1)


def _is_expected(settings: Settings) -> bool:
    """Return whether a system may run without a stack: its broker is configured, or listens at the default address."""
    from marketprism.local.processes import is_listening

    return "kafka" in settings.model_fields_set or is_listening(int(settings.kafka.rpartition(":")[2]))


def status(data: StackOption = None, as_json: JsonOption = False) -> None:
    """Show how the running system is: workers and their partitions, sink, lag, feeds, disk.

    The exit status is 0 if all is well, 1 if something is not, and 3 if nothing is running.
    """
    from marketprism.local.stack_state import find_stack
    from marketprism.local.status import describe_stack, examine_system
    from sinks.stack_lock import is_in_use

    quiet_libraries()
    with report_errors():
        stack = find_stack(data)
        settings = settings_of(stack, data)
        if stack is None and not _is_expected(settings):
            say(
                "Nothing is running here: start `marketprism demo` or `live`, or set the broker of a system elsewhere "
                "with MARKETPRISM_KAFKA."
            )
            raise typer.Exit(_NOT_RUNNING)
        about = describe_stack(stack) if stack else []
        if stack and not is_in_use(Path(stack.data)):
            say(f"{about[0].text}.")
            raise typer.Exit(_NOT_RUNNING)
        if stack is None and "kafka" not in settings.model_fields_set:
            about = [Finding("stack", None, f"no run was found; the broker at {settings.kafka} is looked at")]
        _report([*about, *asyncio.run(examine_system(settings))], as_json)


def doctor(data: StackOption = None, as_json: JsonOption = False) -> None:
    """Check what this machine needs, and what runs on it, and say what to fix.

    The exit status is 1 if something must be fixed.
    """
    from marketprism.local import doctor, status
    from marketprism.local.stack_state import find_stack

    quiet_libraries()
    with report_errors():
        stack = find_stack(data)
        settings = settings_of(stack, data)
        findings = asyncio.run(examine(settings, doctor.CHECKS))
        if stack:
            findings += status.describe_stack(stack)
        if stack or _is_expected(settings):
            findings += asyncio.run(status.examine_system(settings))
        else:
            findings += asyncio.run(examine(settings, [("disk", status.check_disk)]))
            findings.append(Finding("system", None, "nothing is running: demo and live start all that they need"))
        _report(findings, as_json)


def sql(
    query: Annotated[str, typer.Argument(help="A SELECT statement; `-` reads it from standard input.")],
    data: StackOption = None,
    output_format: Annotated[str, typer.Option("--format", help="A ClickHouse output format.")] = "TabSeparated",
) -> None:
    """Run one read-only query in ClickHouse."""
    from sinks.sql.client import run_query

    with report_errors():
        settings = stack_settings(data)
        text = sys.stdin.read() if query == "-" else query
        sys.stdout.buffer.write(run_query(settings, text, output_format))


def trace(
    source: Annotated[
        str,
        typer.Argument(help="The `source` of a stored row, such as binance:3:1234:5:0, or the `id` of a signal."),
    ],
    data: StackOption = None,
) -> None:
    """Show the raw frames behind a stored row: one, or those of both sides of a signal."""
    from marketprism.local.trace import trace as run

    quiet_libraries()
    with report_errors():
        for step in run(data, stack_settings(data), source):
            say(step.title, "bold")
            if step.body:
                sys.stdout.flush()
                sys.stdout.buffer.write(step.body + b"\n")
                sys.stdout.buffer.flush()
