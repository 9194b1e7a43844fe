"""Say on the console what is being waited for, and for how long."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from math import inf
from typing import Literal

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

Action = Literal["start", "create", "stop"]
Watch = Callable[[Action, str, float], AbstractContextManager[None]]

# What each process is called, as part of a sentence.
_NAMES = {
    "kafka": "the broker",
    "topics": "the topics",
    "sink": "ClickHouse and the sink",
    "worker": "the worker",
    "simulator": "the simulated exchanges",
    "dashboard": "the page",
    "jobs": "the scheduled jobs",
    "ingest": "ingest",
}
_VERBS: dict[Action, str] = {"start": "Starting", "create": "Creating", "stop": "Stopping"}
_WORTH_A_LINE = 1.0  # s; a stop that took longer is reported where the console is no terminal
_LINE_EVERY = 10.0  # s; where the console is no terminal


def shown_on(console: Console) -> Watch:
    """Return a watch that shows each step with its seconds, and the seconds that it may take, while it lasts.

    A step without a limit is not shown, as nobody waits for it.
    """

    @contextmanager
    def watch(action: Action, process: str, limit: float) -> Iterator[None]:
        if limit == inf:
            yield
            return
        text = f"{_VERBS[action]} {_NAMES.get(process, process)}"
        if console.is_terminal:
            with _spinner(console, f"{text} … {{task.elapsed:.0f}} s (up to {limit:.0f} s)"):
                yield
            return
        began = time.monotonic()
        with _lines(console, text, limit):
            yield
        took = time.monotonic() - began
        if action != "stop" or took > _WORTH_A_LINE:
            console.print(f"{text}: {took:.1f} s", highlight=False, soft_wrap=True)

    return watch


@contextmanager
def unwatched(action: Action, process: str, limit: float) -> Iterator[None]:
    """Show nothing."""
    yield


@contextmanager
def _lines(console: Console, text: str, limit: float) -> Iterator[None]:
    """Print a line now and then, from a thread, as what it waits for may block this one."""
    began, done = time.monotonic(), threading.Event()

    def report() -> None:
        while not done.wait(_LINE_EVERY):
            seconds = time.monotonic() - began
            console.print(f"{text}: {seconds:.0f} s so far (up to {limit:.0f} s)", highlight=False, soft_wrap=True)

    thread = threading.Thread(target=report, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@contextmanager
def _spinner(console: Console, text: str) -> Iterator[None]:
    with Progress(SpinnerColumn(), TextColumn(text), console=console, transient=True) as progress:
        progress.add_task("")
        yield
