"""Commands that take data out of the system and put it back."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TextColumn

from marketprism.cli.common import (
    DurationOption,
    FeedOption,
    SpeedOption,
    console,
    parse_speed,
    report_errors,
    settings_with,
    until_interrupted,
)
from schemas.feeds import feed_named
from schemas.logs import configure_logs


def record(
    path: Annotated[Path, typer.Argument(help="Capture file to write; the suffixes .zst and .gz compress it.")],
    feed: FeedOption = None,
    duration: DurationOption = 0.0,
) -> None:
    """Record the raw topics to a capture file, from now on."""
    from marketprism.captures.record import record as run

    with report_errors():
        settings = settings_with()
        configure_logs(settings)
        exchanges = sorted({feed_named(name).exchange for name in feed or settings.feeds})
        until_interrupted(lambda: run(settings, exchanges, path, duration))


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
        report_errors(),
        Progress(*Progress.get_default_columns(), TextColumn("{task.fields[rate]}"), console=console) as bar,
    ):
        settings = settings_with()
        configure_logs(settings)
        task = bar.add_task("replay", rate="")

        def progress(done: ReplaySummary, read: int, size: int) -> None:
            bar.update(task, completed=read, total=size, rate=f"{done.frames / max(done.seconds, 1e-3):,.0f} frames/s")

        until_interrupted(
            lambda: run(settings, [parse_replay_source(text) for text in sources], parse_speed(speed), progress)
        )
