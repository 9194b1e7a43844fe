"""Commands that run one part of the system, each as a process of its own."""

import os
import sys

from marketprism.cli.common import FeedOption, report_errors, settings_with
from schemas.settings import Settings


def ingest(feed: FeedOption = None) -> None:
    """Run ingest: write exchange frames to the raw topics."""
    with report_errors():
        _become([sys.executable, "-m", "ingest"], settings_with(feed))


def worker() -> None:
    """Run a Faust worker: turn raw frames into events and signals.

    Several workers share the partitions.
    """
    with report_errors():
        _become([sys.executable, "-m", "faust", "-A", "streams.app", "worker"], settings_with())


def sink() -> None:
    """Run the sink: store events in ClickHouse.

    With an embedded ClickHouse, it also serves SQL over HTTP.
    """
    with report_errors():
        _become([sys.executable, "-m", "sinks"], settings_with())


def _become(command: list[str], settings: Settings) -> None:
    """Replace this process with the command, so that it receives signals directly."""
    os.execvpe(command[0], command, os.environ | settings.environment())
