"""What the commands share: the console, common options, and how errors are reported."""

import contextlib
import logging
import math
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import structlog
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from marketprism.local.stack_state import StackState, find_stack
from schemas.errors import MarketPrismError, SettingsError
from schemas.feeds import FEEDS
from schemas.settings import Settings, load_settings

console = Console()
errors = Console(stderr=True)


def _duration(seconds: float) -> float:
    if not 0 <= seconds < math.inf:
        raise typer.BadParameter(f"{seconds:g}: use a number of seconds such as 60, or 0 for no limit")
    return seconds


DataOption = Annotated[
    Path | None, typer.Option("--data", help="Keep the data of the broker and ClickHouse in this directory.")
]
StackOption = Annotated[
    Path | None,
    typer.Option("--data", help="Data directory of a demo or live run. By default, the run that is going on is used."),
]
DurationOption = Annotated[float, typer.Option(callback=_duration, help="Seconds to run; 0 means until Ctrl-C.")]
FeedOption = Annotated[
    list[str] | None,
    typer.Option("--feed", help=f"Feed to use instead of the configured ones; repeatable. Known: {', '.join(FEEDS)}."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
SpeedOption = Annotated[str, typer.Option(help="`max`, or a multiple of the recorded speed such as 1 or 10.")]


@contextlib.contextmanager
def report_errors(status: int = 1) -> Iterator[None]:
    """Print expected errors on one line, without a traceback, and exit with a status."""
    try:
        yield
    except MarketPrismError as error:
        errors.print(Text.assemble(("error:", "bold red"), f" {error}"), soft_wrap=True)
        raise typer.Exit(status) from None


def plain_table() -> Table:
    """Return a table without lines, whose columns are to be added."""
    return Table(box=None, pad_edge=False, header_style="dim")


def time_text(micros: int) -> str:
    """Return a time, µs since the epoch, to the second in UTC."""
    return datetime.fromtimestamp(micros / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")


def print_json(value: object) -> None:
    """Print a value as JSON."""
    console.print_json(orjson.dumps(value).decode())


def say(text: str, style: str = "") -> None:
    """Print text as it is: as a Text, its brackets and colons are not taken for markup and emoji."""
    console.print(Text(text, style), soft_wrap=True)


def quiet_libraries(ours: int = logging.ERROR) -> None:
    """Log nothing below an error, or another level, of `ours`: what a command cannot reach is in its answer."""
    logging.basicConfig(level=logging.ERROR)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(ours),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S"),
            # The default shows the variables of each frame, and so passwords in settings and addresses.
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def settings_with(feeds: list[str] | None = None, **overrides: Any) -> Settings:
    if feeds:
        overrides["feeds"] = tuple(feeds)
    return load_settings(**overrides)


def stack_settings(data: Path | None = None, feeds: list[str] | None = None) -> Settings:
    """Return the settings of the stack in `data`, or of the running one, if there is any. The user's own come first."""
    return settings_of(find_stack(data), data, feeds)


def settings_of(stack: StackState | None, data: Path | None, feeds: list[str] | None = None) -> Settings:
    """Return the settings of a stack that was looked for in `data`, or without one those of the user."""
    settings = settings_with(feeds)
    if stack:
        return stack.apply(settings)
    if data is None:
        return settings
    if not (data / "clickhouse").is_dir():
        raise SettingsError(f"there is no data of a run in {data}: start `marketprism demo --data {data}` first")
    return settings_with(feeds, clickhouse=f"chdb://{(data / 'clickhouse').absolute()}")


def parse_speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < math.inf:
        raise SettingsError(f"--speed {text}: use `max` or a number above 0")
    return speed
