"""Commands that run one part of the system, each as a process of its own."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from marketprism.cli.common import FeedOption, StackOption, console, report_errors, settings_with, stack_settings
from schemas.settings import Settings


def broker(
    data: Annotated[Path, typer.Option(help="Keep its data in the folder `kafka` of this directory.")] = Path("data"),
) -> None:
    """Run a Kafka broker on this machine, and create the topics.

    It listens where the setting `kafka` says.
    """
    from marketprism.local.single_broker import run_broker

    with report_errors():
        run_broker(settings_with(), data, console)


def simulate(context: typer.Context) -> None:
    """Run simulated exchanges that speak the real protocols.

    Write their addresses to a settings file with --settings, and run ingest with it.
    """
    with report_errors():
        _become([sys.executable, "-m", "marketprism.simulator", *context.args], settings_with())


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


def api(data: StackOption = None) -> None:
    """Run the REST API and the WebSocket, without the page.

    It listens on the setting `api_address`. A demo or live run has it already, with its page.
    """
    with report_errors():
        _become([sys.executable, "-m", "marketprism.api"], stack_settings(data))


def dashboard(data: StackOption = None) -> None:
    """Run the live page, with the REST API and the WebSocket.

    It listens on the setting `api_address`. A demo or live run has it already.
    """
    with report_errors():
        _become([sys.executable, "-m", "marketprism.dashboard"], stack_settings(data))


def _become(command: list[str], settings: Settings) -> None:
    """Replace this process with the command, so that it receives signals directly."""
    os.execvpe(command[0], command, os.environ | settings.environment())
