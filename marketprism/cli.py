"""The command `marketprism`."""

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
    "Settings come from the environment (MARKETPRISM_…) and from marketprism.toml; `marketprism doctor` looks at them.",
)
console = Console()
_errors = Console(stderr=True)

_FAUST_LEVELS = {"WARNING": "WARN"}  # that Faust calls otherwise

DataOption = Annotated[Path | None, typer.Option("--data", help="directory of broker and ClickHouse; kept afterwards")]
DurationOption = Annotated[float, typer.Option(help="seconds to run; 0: until Ctrl-C")]
FeedOption = Annotated[list[str] | None, typer.Option("--feed", help=f"a feed, of: {', '.join(FEEDS)}; repeatable")]
SpeedOption = Annotated[str, typer.Option(help="`max`, or a multiple of the recorded pace such as 1 or 10")]


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Errors on purpose are told in a line, without a traceback."""
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
        raise SettingsError(f"--speed {text}: it accepts `max` or a number above 0")
    return speed


@app.command()
def demo(
    duration: DurationOption = 0.0,
    data: DataOption = None,
    replay: Annotated[
        list[str] | None,
        typer.Option("--replay", metavar="[FEED:]FILE", help="replay this capture instead; repeatable"),
    ] = None,
    speed: SpeedOption = "max",
    seed: Annotated[int, typer.Option(help="of the simulated market")] = 1,
) -> None:
    """The whole system on this machine with simulated exchanges, and a live view of what flows.

    With --replay: captures go through it instead, and it ends by itself when the last event is stored.
    """
    from marketprism.captures.replay_sources import feeds_of, parse_source
    from marketprism.local.demo import Run, run_stack

    with _told():
        sources = tuple(map(parse_source, replay or []))
        run = Run("demo", data, duration, not replay, sources, _speed(speed), seed)
        settings = _settings(feeds_of(sources))
        asyncio.run(run_stack(settings, run, console))


@app.command()
def live(duration: DurationOption = 0.0, data: DataOption = Path("data"), feed: FeedOption = None) -> None:
    """The whole system on this machine with the real exchanges."""
    from marketprism.local.demo import Run, run_stack

    with _told():
        asyncio.run(run_stack(_settings(feed), Run("live", data, duration), console))


@app.command()
def ingest(feed: FeedOption = None) -> None:
    """Sockets to raw topics: the ingest process of the settings' feeds."""
    with _told():
        _become([sys.executable, "-m", "ingest"], _settings(feed))


@app.command()
def worker() -> None:
    """Raw topics to events: a Faust worker. Start as many as there are partitions to share."""
    with _told():
        settings = _settings()
        level = _FAUST_LEVELS.get(settings.log_level, settings.log_level)
        _become([sys.executable, "-m", "faust", "-A", "streams.app", "worker", "-l", level], settings)


@app.command()
def sink() -> None:
    """Events to ClickHouse; with an embedded one it also answers SQL over HTTP."""
    with _told():
        _become([sys.executable, "-m", "sinks"], _settings())


def _become(command: list[str], settings: Settings) -> None:
    """Replace this process: signals then reach the one that works."""
    os.execvpe(command[0], command, os.environ | settings.environment())


@app.command()
def record(
    path: Annotated[Path, typer.Argument(help="the capture to write; compressed by its suffix: .zst or .gz")],
    feed: FeedOption = None,
    duration: DurationOption = 0.0,
) -> None:
    """The raw topics from now on into a capture file."""
    from marketprism.captures.record import record as run

    with _told():
        settings = _settings()
        configure_logs(settings)
        exchanges = sorted({feed_named(name).exchange for name in feed or settings.feeds})
        _until_interrupted(lambda: run(settings, exchanges, path, duration))


@app.command()
def replay(
    sources: Annotated[list[str], typer.Argument(metavar="[FEED:]FILE…", help="captures, merged by receipt time")],
    speed: SpeedOption = "max",
) -> None:
    """Captures into the raw topics: ours, or those of hftbacktest's collector.

    FEED takes that feed's lines only. A capture of our own says whose its lines are and needs none.
    """
    from marketprism.captures.replay import ReplaySummary
    from marketprism.captures.replay import replay as run
    from marketprism.captures.replay_sources import parse_source

    with _told(), Progress(*Progress.get_default_columns(), TextColumn("{task.fields[rate]}"), console=console) as bar:
        settings = _settings()
        configure_logs(settings)
        task = bar.add_task("replay", rate="")

        def progress(done: ReplaySummary, read: int, size: int) -> None:
            bar.update(task, completed=read, total=size, rate=f"{done.frames / max(done.seconds, 1e-3):,.0f} frames/s")

        _until_interrupted(lambda: run(settings, [parse_source(text) for text in sources], _speed(speed), progress))


def _until_interrupted(work: Callable[[], Any]) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        console.print(asyncio.run(work()), highlight=False)


feeds_app = typer.Typer(no_args_is_help=True, help="The feeds of a running ingest.")
app.add_typer(feeds_app, name="feeds")


@feeds_app.command()
def reconnect(feed: FeedOption = None) -> None:
    """Move connections to new sockets: the new ones flow before the old ones close, so no book is interrupted."""
    from marketprism.ops.control import ask_to_reconnect

    with _told():
        settings = _settings(feed)
        asyncio.run(ask_to_reconnect(settings, settings.feeds))
        console.print(f"asked ingest to reconnect {', '.join(settings.feeds)}", highlight=False)


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="a SELECT; `-` reads it from standard input")],
    data: Annotated[Path | None, typer.Option(help="the --data directory of a demo or live run")] = None,
    output: Annotated[str, typer.Option("--format", help="any ClickHouse output format")] = "TabSeparated",
) -> None:
    """One query to ClickHouse, read-only."""
    from sinks.sql.client import run_query

    with _told():
        if data is not None and not (data / "clickhouse").is_dir():
            raise SettingsError(f"there is no ClickHouse data in {data}: start `marketprism demo --data {data}` first")
        settings = _settings(clickhouse=f"chdb://{(data / 'clickhouse').absolute()}") if data else _settings()
        text = sys.stdin.read() if query == "-" else query
        sys.stdout.buffer.write(run_query(settings, text, output))


@app.command()
def topics(create: Annotated[bool, typer.Option("--create", help="create what is missing")] = False) -> None:
    """The topic table; --create makes it real on the broker."""
    from marketprism.ops.topics import create_topics
    from schemas.topics import TOPICS

    with _told():
        settings = _settings()
        if create:
            created = asyncio.run(create_topics(settings))
            console.print(f"created {len(created)} topics on {settings.kafka}", *created, sep="\n  ", highlight=False)
            return
        table = Table("topic", "key", "partitions", "kept", "holds", box=None, header_style="dim")
        for topic in TOPICS.values():
            hours = f"{topic.retention_ms // 3_600_000} h"
            partitions = str(topic.partitions or settings.partitions)
            table.add_row(settings.topic(topic.name), topic.key, partitions, hours, topic.meaning)
        console.print(table)


@app.command()
def trace(
    source: Annotated[str, typer.Argument(help="the `source` of a stored row, such as binance:3:1234:5:0")],
) -> None:
    """A stored row back to the raw frame that caused it."""
    from marketprism.ops.trace import trace as run

    with _told():
        place, line = asyncio.run(run(_settings(), source))
        console.print(f"{place}  {line.key}  received {line.local_timestamp} ns", highlight=False)
        sys.stdout.buffer.write(line.frame + b"\n")


@app.command()
def schemas() -> None:
    """The JSON Schema of every event, by topic."""
    import orjson

    from schemas.events import json_schemas

    sys.stdout.buffer.write(orjson.dumps(json_schemas(), option=orjson.OPT_INDENT_2) + b"\n")


@app.command()
def doctor() -> None:
    """Look at settings, Java, broker, ClickHouse and clock, and say what to fix."""
    from marketprism.local.doctor import examine

    with _told():
        findings = asyncio.run(examine(_settings()))
        marks = {True: "[green]ok[/]     ", None: "[yellow]note[/]   ", False: "[red]problem[/]"}
        for finding in findings:
            console.print(f"{marks[finding.ok]}  {finding.name:<11} {finding.text}", highlight=False, soft_wrap=True)
        if any(finding.ok is False for finding in findings):
            raise typer.Exit(1)


if __name__ == "__main__":
    app()
