"""Command line interface: the command `marketprism`."""

import io
import sys
from collections.abc import Callable
from typing import Any

import typer

from marketprism.cli.backfill import backfill
from marketprism.cli.data import export, record, replay
from marketprism.cli.feeds import feeds_app
from marketprism.cli.gaps import gaps
from marketprism.cli.jobs import jobs_app
from marketprism.cli.parts import api, broker, dashboard, ingest, simulate, sink, worker
from marketprism.cli.probe import probe
from marketprism.cli.questions import doctor, sql, status, trace
from marketprism.cli.run import demo, live
from marketprism.cli.topics import schemas, topics

# Every command, by its panel in the help.
_COMMANDS: dict[str, tuple[Callable[..., Any], ...]] = {
    "Run everything": (demo, live),
    "Run one part": (broker, ingest, worker, sink, api, dashboard),
    "Ask": (status, doctor, probe, sql, trace, topics, schemas),
    "Keep and repeat": (record, replay, export, backfill, gaps),
}


class _App(typer.Typer):
    """The command, which writes `?` for what the terminal's encoding lacks."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
        return super().__call__(*arguments, **options)


app = _App(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Raw exchange WebSocket frames in; order books, arbitrage signals and queryable history out.\n\n"
    "Settings come from the environment (MARKETPRISM_…) and from marketprism.toml. `marketprism doctor` checks them.",
)
for _panel, _commands in _COMMANDS.items():
    for _command in _commands:
        app.command(rich_help_panel=_panel)(_command)
# It knows its own options.
app.command(
    rich_help_panel="Run one part",
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)(simulate)
app.add_typer(feeds_app, name="feeds", rich_help_panel="Run one part")
app.add_typer(jobs_app, name="jobs", rich_help_panel="Keep and repeat")
