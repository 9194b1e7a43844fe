"""Command line interface: the command `marketprism`."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, TextColumn
from rich.table import Table

from schemas.errors import MarketPrismError, SettingsError
from schemas.feeds import FEEDS, feed_named
from schemas.logs import configure_logs
from schemas.settings import Settings, load_settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Raw exchange WebSocket frames in; order books, arbitrage signals and queryable history out.\n\n"
    "Settings come from the environment (MARKETPRISM_…) and from marketprism.toml. `marketprism doctor` checks them.",
)
console = Console()
_errors = Console(stderr=True)

_FAUST_LEVELS = {"WARNING": "WARN"}  # log levels with other names in Faust

DataOption = Annotated[
    Path | None, typer.Option("--data", help="Keep the data of the broker and ClickHouse in this directory.")
]
DurationOption = Annotated[float, typer.Option(help="Seconds to run; 0 means until Ctrl-C.")]
FeedOption = Annotated[
    list[str] | None,
    typer.Option("--feed", help=f"Feed to use instead of the configured ones; repeatable. Known: {', '.join(FEEDS)}."),
]
SpeedOption = Annotated[str, typer.Option(help="`max`, or a multiple of the recorded speed such as 1 or 10.")]


@contextlib.contextmanager
def _report_errors() -> Iterator[None]:
    """Print expected errors on one line, without a traceback."""
    try:
        yield
    except MarketPrismError as error:
        _errors.print(f"[bold red]error:[/] {error}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None


def _settings(feeds: list[str] | None = None, **overrides: Any) -> Settings:
    if feeds:
        overrides["feeds"] = tuple(feeds)
    return load_settings(**overrides)


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if speed <= 0:
        raise SettingsError(f"--speed {text}: use `max` or a number above 0")
    return speed


@app.command()
def demo(
    duration: DurationOption = 0.0,
    data: DataOption = None,
    replay: Annotated[
        list[str] | None,
        typer.Option("--replay", metavar="[FEED:]FILE", help="Replay this capture instead of simulating; repeatable."),
    ] = None,
    speed: SpeedOption = "max",
    seed: Annotated[int, typer.Option(help="Seed of the simulated market.")] = 1,
) -> None:
    """Run the whole system on this machine with simulated exchanges and a live view.

    It shows every kind of data, unless the settings choose kinds, channels or symbols.

    With --replay, it processes captures instead and exits when the last event is stored.
    """
    from marketprism.captures.replay_sources import feeds_of, parse_replay_source
    from marketprism.local.demo import RunOptions, run_stack, showing_all

    with _report_errors():
        sources = tuple(map(parse_replay_source, replay or []))
        options = RunOptions("demo", data, duration, not replay, sources, _speed(speed), seed)
        settings = showing_all(_settings(feeds_of(sources)))
        asyncio.run(run_stack(settings, options, console))


@app.command()
def live(duration: DurationOption = 0.0, data: DataOption = Path("data"), feed: FeedOption = None) -> None:
    """Run the whole system on this machine with the real exchanges and a live view."""
    from marketprism.local.demo import RunOptions, run_stack

    with _report_errors():
        asyncio.run(run_stack(_settings(feed), RunOptions("live", data, duration), console))


@app.command()
def ingest(feed: FeedOption = None) -> None:
    """Run ingest: write exchange frames to the raw topics."""
    with _report_errors():
        _become([sys.executable, "-m", "ingest"], _settings(feed))


@app.command()
def worker() -> None:
    """Run a Faust worker: turn raw frames into events and signals.

    Several workers share the partitions.
    """
    with _report_errors():
        settings = _settings()
        level = _FAUST_LEVELS.get(settings.log_level, settings.log_level)
        _become([sys.executable, "-m", "faust", "-A", "streams.app", "worker", "-l", level], settings)


@app.command()
def sink() -> None:
    """Run the sink: store events in ClickHouse.

    With an embedded ClickHouse, it also serves SQL over HTTP.
    """
    with _report_errors():
        _become([sys.executable, "-m", "sinks"], _settings())


def _become(command: list[str], settings: Settings) -> None:
    """Replace this process with the command, so that it receives signals directly."""
    os.execvpe(command[0], command, os.environ | settings.environment())


@app.command()
def record(
    path: Annotated[Path, typer.Argument(help="Capture file to write; the suffixes .zst and .gz compress it.")],
    feed: FeedOption = None,
    duration: DurationOption = 0.0,
) -> None:
    """Record the raw topics to a capture file, from now on."""
    from marketprism.captures.record import record as run

    with _report_errors():
        settings = _settings()
        configure_logs(settings)
        exchanges = sorted({feed_named(name).exchange for name in feed or settings.feeds})
        _until_interrupted(lambda: run(settings, exchanges, path, duration))


@app.command()
def replay(
    sources: Annotated[
        list[str], typer.Argument(metavar="[FEED:]FILE…", help="Captures, which are merged by receipt time.")
    ],
    speed: SpeedOption = "max",
) -> None:
    """Replay captures into the raw topics.

    Captures come from `marketprism record` or the hftbacktest collector.

    FEED selects the lines of one feed; only collector files require it.
    """
    from marketprism.captures.replay import ReplaySummary
    from marketprism.captures.replay import replay as run
    from marketprism.captures.replay_sources import parse_replay_source

    with (
        _report_errors(),
        Progress(*Progress.get_default_columns(), TextColumn("{task.fields[rate]}"), console=console) as bar,
    ):
        settings = _settings()
        configure_logs(settings)
        task = bar.add_task("replay", rate="")

        def progress(done: ReplaySummary, read: int, size: int) -> None:
            bar.update(task, completed=read, total=size, rate=f"{done.frames / max(done.seconds, 1e-3):,.0f} frames/s")

        _until_interrupted(
            lambda: run(settings, [parse_replay_source(text) for text in sources], _speed(speed), progress)
        )


def _until_interrupted(work: Callable[[], Any]) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        console.print(asyncio.run(work()), highlight=False)


feeds_app = typer.Typer(no_args_is_help=True, help="Control the feeds of a running ingest.")
app.add_typer(feeds_app, name="feeds")


@feeds_app.command()
def reconnect(feed: FeedOption = None) -> None:
    """Move connections to new sockets without a gap.

    Old sockets are closed once the new ones receive data, so that no book is interrupted.
    """
    from marketprism.ops.control import ask_to_reconnect

    with _report_errors():
        settings = _settings(feed)
        asyncio.run(ask_to_reconnect(settings, settings.feeds))
        console.print(f"requested to reconnect: {', '.join(settings.feeds)}", highlight=False)


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="A SELECT statement; `-` reads it from standard input.")],
    data: Annotated[Path | None, typer.Option(help="The --data directory of a demo or live run.")] = None,
    output_format: Annotated[str, typer.Option("--format", help="A ClickHouse output format.")] = "TabSeparated",
) -> None:
    """Run one read-only query in ClickHouse."""
    from sinks.sql.client import run_query

    with _report_errors():
        if data is not None and not (data / "clickhouse").is_dir():
            raise SettingsError(f"there is no ClickHouse data in {data}: start `marketprism demo --data {data}` first")
        settings = _settings(clickhouse=f"chdb://{(data / 'clickhouse').absolute()}") if data else _settings()
        text = sys.stdin.read() if query == "-" else query
        sys.stdout.buffer.write(run_query(settings, text, output_format))


@app.command()
def topics(
    create: Annotated[bool, typer.Option("--create", help="Create the missing topics on the broker.")] = False,
    discard: Annotated[
        bool,
        typer.Option("--discard-checkpoints", help="Delete the workers' checkpoints. Stop all workers before."),
    ] = False,
) -> None:
    """List the topics, create them, or discard the workers' checkpoints."""
    from marketprism.ops.topics import create_topics, discard_checkpoints
    from schemas.topics import TOPICS

    with _report_errors():
        settings = _settings()
        if create:
            created = asyncio.run(create_topics(settings))
            console.print(f"created {len(created)} topics on {settings.kafka}", *created, sep="\n  ", highlight=False)
            return
        if discard:
            names = asyncio.run(discard_checkpoints(settings))
            console.print(f"discarded {len(names)} topics on {settings.kafka}", *names, sep="\n  ", highlight=False)
            console.print("restart workers and ingest: books wait for new snapshots", highlight=False)
            return
        table = Table("topic", "key", "partitions", "retention", "contents", box=None, header_style="dim")
        for topic in TOPICS.values():
            hours = f"{topic.retention_ms // 3_600_000} h"
            partitions = str(topic.partitions or settings.partitions)
            table.add_row(settings.topic(topic.name), topic.key, partitions, hours, topic.meaning)
        console.print(table)


@app.command()
def trace(
    source: Annotated[str, typer.Argument(help="The `source` of a stored row, such as binance:3:1234:5:0.")],
) -> None:
    """Show the raw frame that caused a stored row."""
    from marketprism.ops.trace import trace as run

    with _report_errors():
        place, line = asyncio.run(run(_settings(), source))
        console.print(f"{place}  {line.key}  received at {line.local_timestamp} ns", highlight=False)
        sys.stdout.buffer.write(line.frame + b"\n")


@app.command()
def schemas() -> None:
    """Print the JSON Schema of every event, by topic."""
    import orjson

    from schemas.events import json_schemas

    sys.stdout.buffer.write(orjson.dumps(json_schemas(), option=orjson.OPT_INDENT_2) + b"\n")


@app.command()
def doctor() -> None:
    """Check settings, Java, broker, ClickHouse, disk and clock, and say what to fix."""
    from marketprism.local.doctor import examine

    with _report_errors():
        findings = asyncio.run(examine(_settings()))
        marks = {True: "[green]ok[/]     ", None: "[yellow]note[/]   ", False: "[red]problem[/]"}
        for finding in findings:
            console.print(f"{marks[finding.ok]}  {finding.name:<11} {finding.text}", highlight=False, soft_wrap=True)
        if any(finding.ok is False for finding in findings):
            raise typer.Exit(1)


if __name__ == "__main__":
    app()
