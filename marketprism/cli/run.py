"""Commands that run the whole system on this machine."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from marketprism.cli.common import (
    DataOption,
    DurationOption,
    FeedOption,
    SpeedOption,
    console,
    parse_speed,
    report_errors,
    settings_with,
)


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

    with report_errors():
        sources = tuple(map(parse_replay_source, replay or []))
        options = RunOptions("demo", data, duration, not replay, sources, parse_speed(speed), seed)
        settings = showing_all(settings_with(feeds_of(sources)))
        asyncio.run(run_stack(settings, options, console))


def live(duration: DurationOption = 0.0, data: DataOption = Path("data"), feed: FeedOption = None) -> None:
    """Run the whole system on this machine with the real exchanges and a live view.

    It says within seconds which feeds can be reached and why others cannot, goes on, and keeps trying the others.

    MARKETPRISM_PROXIES names a proxy, MARKETPRISM_ENDPOINTS other hosts; `marketprism doctor` tries each.
    """
    from marketprism.local.demo import RunOptions, run_stack

    with report_errors():
        asyncio.run(run_stack(settings_with(feed), RunOptions("live", data, duration), console))
