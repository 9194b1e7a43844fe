"""Commands that answer questions about the system and its data."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from marketprism.cli.common import console, report_errors, settings_with, without_logs
from schemas.errors import SettingsError


def sql(
    query: Annotated[str, typer.Argument(help="A SELECT statement; `-` reads it from standard input.")],
    data: Annotated[Path | None, typer.Option(help="The --data directory of a demo or live run.")] = None,
    output_format: Annotated[str, typer.Option("--format", help="A ClickHouse output format.")] = "TabSeparated",
) -> None:
    """Run one read-only query in ClickHouse."""
    from sinks.sql.client import run_query

    with report_errors():
        if data is not None and not (data / "clickhouse").is_dir():
            raise SettingsError(f"there is no ClickHouse data in {data}: start `marketprism demo --data {data}` first")
        settings = settings_with(clickhouse=f"chdb://{(data / 'clickhouse').absolute()}") if data else settings_with()
        text = sys.stdin.read() if query == "-" else query
        sys.stdout.buffer.write(run_query(settings, text, output_format))


def trace(
    source: Annotated[str, typer.Argument(help="The `source` of a stored row, such as binance:3:1234:5:0.")],
) -> None:
    """Show the raw frame that caused a stored row."""
    from marketprism.ops.trace import trace as run

    with report_errors():
        place, line = asyncio.run(run(without_logs(settings_with()), source))
        console.print(f"{place}  {line.key}  received at {line.local_timestamp} ns", highlight=False, markup=False)
        sys.stdout.buffer.write(line.frame + b"\n")


def doctor() -> None:
    """Check settings, Java, broker, ClickHouse, disk and clock, and say what to fix."""
    from marketprism.local.doctor import examine

    with report_errors():
        findings = asyncio.run(examine(without_logs(settings_with())))
        marks = {True: "[green]ok[/]     ", None: "[yellow]note[/]   ", False: "[red]problem[/]"}
        for finding in findings:
            text = f"{finding.name:<11} {escape(finding.text)}"
            console.print(f"{marks[finding.ok]}  {text}", highlight=False, soft_wrap=True, emoji=False)
        if any(finding.ok is False for finding in findings):
            raise typer.Exit(1)
