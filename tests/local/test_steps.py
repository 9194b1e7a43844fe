"""What is shown while a step of the start lasts."""

import math
import re
import time
from io import StringIO

import pytest
from rich.console import Console

from marketprism.local import steps


def test_lines_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that takes long says so now and then, also while it blocks, and says at the end how long it took."""
    monkeypatch.setattr(steps, "_LINE_EVERY", 0.01)
    output = StringIO()
    with steps.shown_on(Console(file=output))("start", "kafka", 60.0):
        deadline = time.monotonic() + 10
        while output.getvalue().count("\n") < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    first, second, *_, last = output.getvalue().splitlines()
    assert first == second == "Starting the broker: 0 s so far (up to 60 s)"
    assert re.fullmatch(r"Starting the broker: \d+\.\d s", last)


def test_what_nobody_waits_for_is_not_shown() -> None:
    """Ingest may try to connect for hours, behind the view."""
    output = StringIO()
    with steps.shown_on(Console(file=output, force_terminal=True))("start", "ingest", math.inf):
        pass
    assert output.getvalue() == ""
