"""What the commands share: the console, common options, and how errors are reported."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from schemas.errors import MarketPrismError, SettingsError
from schemas.feeds import FEEDS
from schemas.settings import Settings, load_settings

console = Console()
errors = Console(stderr=True)

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
def report_errors() -> Iterator[None]:
    """Print expected errors on one line, without a traceback."""
    try:
        yield
    except MarketPrismError as error:
        errors.print(f"[bold red]error:[/] {error}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None


def settings_with(feeds: list[str] | None = None, **overrides: Any) -> Settings:
    if feeds:
        overrides["feeds"] = tuple(feeds)
    return load_settings(**overrides)


def parse_speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if speed <= 0:
        raise SettingsError(f"--speed {text}: use `max` or a number above 0")
    return speed


def until_interrupted(work: Callable[[], Any]) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        console.print(asyncio.run(work()), highlight=False)
