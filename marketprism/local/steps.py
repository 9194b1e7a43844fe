"""Say on the console what is being waited for, and for how long."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

Action = Literal["start", "stop"]
Watch = Callable[[Action, str, float], AbstractContextManager[None]]

# What each process is called, as part of a sentence.
_NAMES = {
    "kafka": "the broker",
    "sink": "ClickHouse and the sink",
    "worker": "the worker",
    "simulator": "the simulated exchanges",
    "ingest": "ingest, which connects to the exchanges",
}
_VERBS: dict[Action, str] = {"start": "Starting", "stop": "Stopping"}
_WORTH_A_LINE = 1.0  # s; a stop that took longer is reported where the console is no terminal


def shown_on(console: Console) -> Watch:
    """Return a watch that shows each step with its seconds, and the seconds that it may take, while it lasts."""

    @contextmanager
    def watch(action: Action, process: str, limit: float) -> Iterator[None]:
        text = f"{_VERBS[action]} {_NAMES.get(process, process)}"
        if console.is_terminal:
            with _spinner(console, f"{text} … {{task.elapsed:.0f}} s (up to {limit:.0f} s)"):
                yield
            return
        began = time.monotonic()
        yield
        took = time.monotonic() - began
        if action == "start" or took > _WORTH_A_LINE:
            console.print(f"{text}: {took:.1f} s", highlight=False, soft_wrap=True)

    return watch


@contextmanager
def unwatched(action: Action, process: str, limit: float) -> Iterator[None]:
    """Show nothing."""
    yield


@contextmanager
def _spinner(console: Console, text: str) -> Iterator[None]:
    with Progress(SpinnerColumn(), TextColumn(text), console=console, transient=True) as progress:
        progress.add_task("")
        yield
