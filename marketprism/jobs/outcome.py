"""What the work of a job is given, and what it returns."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from marketprism.backfill.run import Show
from schemas.settings import Settings


class Outcome(NamedTuple):
    """Result of a job: one sentence for people, and figures for programs."""

    summary: str
    figures: dict[str, Any]


class Reporter(NamedTuple):
    """Where a job reports while it works: `show` takes the progress of a part, `say` a line."""

    show: Show
    say: Callable[[str], None]


SILENT = Reporter(lambda *_: None, lambda line: None)
Work = Callable[[Settings, Reporter], Awaitable[Outcome]]
