"""Commands that take data out of the system and put it back."""

import asyncio
import signal
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.filesize import decimal
from rich.progress import Progress, TextColumn

from marketprism.cli.common import (
    DurationOption,
    FeedOption,
    SpeedOption,
    StackOption,
    console,
    parse_speed,
    report_errors,
    say,
    stack_settings,
)
from schemas.errors import SettingsError
from schemas.feeds import feed_named
from schemas.logs import configure_logs
from schemas.settings import Settings, load_settings
from schemas.times import FORMS, parse_span

_FROM = typer.Option("--from", metavar="TIME", help=f"Begin at this time of receipt: {FORMS}.")
_TO = typer.Option("--to", metavar="TIME", help="End before this time.")


def record(
    path: Annotated[Path, typer.Argument(help="Capture file to write; the suffixes .zst and .gz compress it.")],
    feed: FeedOption = None,
    duration: DurationOption = 0.0,
    data: StackOption = None,
) -> None:
    """Record the raw topics to a capture file, from now on."""
    from marketprism.captures.record import record as run

    with report_errors(), suppress(KeyboardInterrupt):
        settings = stack_settings(data)
        configure_logs(settings)
        exchanges = sorted({feed_named(name).exchange for name in feed or settings.feeds})
        done = asyncio.run(run(settings, exchanges, path, duration))
        if not done.has_begun:
            say("Nothing was recorded: there was no broker, or it had no topics yet.")
            return
        after = f"Replay it with `marketprism replay {path}`." if done.frames else "Is `marketprism ingest` running?"
        written = f"{path} ({decimal(path.stat().st_size)})"
        say(f"Recorded {done.frames:,} frames of {_all(exchanges)} in {done.seconds:,.1f} s: {written}. {after}")


def replay(
    sources: Annotated[
        list[str] | None, typer.Argument(metavar="[FEED:]FILE…", help="Captures, which are merged by receipt time.")
    ] = None,
    speed: SpeedOption = "max",
    start: Annotated[str | None, _FROM] = None,
    end: Annotated[str, _TO] = "now",
    into: Annotated[
        str | None, typer.Option(metavar="PREFIX", help="Prefix of the topics to replay into, with --from.")
    ] = None,
    data: StackOption = None,
) -> None:
    """Replay captures into the raw topics, or a span of the raw topics into those of another prefix.

    Captures come from `marketprism record` or the hftbacktest collector.

    FEED selects the lines of one feed; only collector files require it.

    With --from and --into, what the broker still holds is replayed, and the system in operation is not disturbed.
    """
    from marketprism.captures.replay import replay as run
    from marketprism.captures.replay_retained import replay_retained
    from marketprism.captures.replay_sources import parse_replay_source

    with report_errors(), _bar("replay") as bar:
        if bool(sources) == (start is not None) or (start is None) != (into is None):
            raise SettingsError("name captures to replay, or a span of the raw topics: --from TIME --into PREFIX")
        settings, rate = stack_settings(data), parse_speed(speed)
        configure_logs(settings)
        if start is None or into is None:
            work = run(settings, list(map(parse_replay_source, sources or ())), rate, bar.on_replay)
            _replay(bar, settings, work, "`marketprism worker` processes them.")
        else:
            target = load_settings(**{**settings.model_dump(exclude_unset=True), "topic_prefix": into})
            work = replay_retained(settings, target, *parse_span(start, end), rate, bar.on_replay)
            prefix = f"MARKETPRISM_TOPIC_PREFIX={into}"
            following = (
                f"`{prefix} marketprism worker` processes them, and `{prefix} MARKETPRISM_CLICKHOUSE=chdb://DIR "
            )
            _replay(bar, target, work, f"{following}marketprism sink` stores the events in another directory.")


def export(
    table: Annotated[str, typer.Option(help="Table to export, such as trades.")],
    start: Annotated[str, _FROM],
    end: Annotated[str, _TO] = "now",
    file_format: Annotated[str, typer.Option("--format", help="parquet or csv.")] = "parquet",
    output: Annotated[Path | None, typer.Option(help="File to write; by default TABLE.FORMAT.")] = None,
    exchange: Annotated[list[str] | None, typer.Option(help="Only rows of this exchange; repeatable.")] = None,
    symbol: Annotated[list[str] | None, typer.Option(help="Only rows of this symbol; repeatable.")] = None,
    data: StackOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
) -> None:
    """Export rows of a ClickHouse table to a Parquet or CSV file, in order of receipt."""
    from marketprism.captures.export import Query
    from marketprism.captures.export import export as run

    with report_errors(), _bar("export") as bar, _interrupted_by_sigterm():
        query = Query(table, *parse_span(start, end), exchange or (), [each.upper() for each in symbol or ()])
        path = output or Path(f"{table}.{file_format}")
        try:
            rows = run(stack_settings(data), query, path, file_format, bar.on_export, force=force)
        except KeyboardInterrupt:
            raise SettingsError("interrupted: nothing was written") from None
        bar.close()
        say(f"Exported {rows:,} rows of {table} to {path} ({decimal(path.stat().st_size)}).")


class _Bar(Progress):
    """Progress bar that appears with the first report."""

    def __init__(self, name: str) -> None:
        super().__init__(*Progress.get_default_columns(), TextColumn("{task.fields[rate]}"), console=console)
        self._task = self.add_task(name, rate="")
        self.done: Any = None  # the last summary of a replay

    def on_replay(self, done: Any, position: int, size: int) -> None:
        """Show how much of `size` was replayed."""
        self.done = done
        self._show(position, size, f"{done.frames / max(done.seconds, 1e-3):,.0f} frames/s")

    def on_export(self, rows: int, total: int) -> None:
        """Show how many rows were exported."""
        self._show(rows, total, f"{rows:,} rows")

    def close(self) -> None:
        """Take the bar away if it is there."""
        if self.live.is_started:
            self.stop()

    def _show(self, position: int, size: int, rate: str) -> None:
        self.start()
        self.update(self._task, completed=position, total=size, rate=rate)


@contextmanager
def _bar(name: str) -> Iterator[_Bar]:
    bar = _Bar(name)
    try:
        yield bar
    finally:
        bar.close()


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C, so that an incomplete file is removed."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _replay(bar: _Bar, target: Settings, work: Coroutine[Any, Any, object], following: str) -> None:
    """Do the work until it ends or is interrupted, and say what was replayed, and what processes it."""
    from marketprism.captures.stopping import unless_stopped

    is_finished = asyncio.run(unless_stopped(work))
    bar.close()
    done, head = bar.done, "Replayed" if is_finished else "Stopped after"
    if done is None:
        say("Stopped before anything was replayed.")
        return
    left_out = f" {done.repeated:,} repeated lines were left out." if done.repeated else ""
    say(
        f"{head} {done.frames:,} frames, received within {done.recorded_seconds:,.1f} s, in {done.seconds:,.1f} s: "
        f"{done.records:,} records in the topics {target.topic('raw.*')}.{left_out} {following}"
    )


def _all(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
