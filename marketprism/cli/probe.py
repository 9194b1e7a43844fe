"""The command that checks whether an exchange has changed its protocol."""

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Annotated

import orjson
import typer
from rich.live import Live
from rich.table import Table
from rich.text import Text

from marketprism.cli.common import (
    FeedOption,
    StackOption,
    console,
    errors,
    plain_table,
    quiet_libraries,
    report_errors,
    say,
    stack_settings,
)

if TYPE_CHECKING:
    from marketprism.probe.feed import FeedProbe
    from marketprism.probe.run import Probe

_STATUS = {"ok": 0, "quiet": 0, "changed": 1, "unknown": 2}
_STYLES = {"ok": "green", "quiet": "dim", "changed": "bold red", "unknown": "yellow"}
_CONCLUSIONS = {
    "ok": "Nothing has changed.",
    "quiet": "Nothing has changed, as far as the exchanges have sent anything.",
    "changed": "An exchange has changed: compare what is named above with its documentation, and adapt its connector "
    "(ingest/exchanges), its normalizer (streams/normalize) and marketprism/probe/expected.",
    "unknown": "Not everything could be checked: see the reasons above, check the network, and run it again.",
}
_REFRESHES = 4  # per second


def probe(
    feed: FeedOption = None,
    seconds: Annotated[
        float, typer.Option(min=1, max=3600, help="Seconds to listen to the channels; all feeds at the same time.")
    ] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: each channel of each instrument.")] = False,
    data: StackOption = None,
) -> None:
    """Check whether an exchange has changed its protocol.

    Subscribes to every channel of one instrument of each kind, runs each poll once, and compares what arrives with what
    is expected. It needs neither Kafka nor ClickHouse, and writes nothing. While a demo is running, it probes its
    simulated exchanges.

    The exit status is 0 if nothing has changed, 1 if an exchange has, 2 if it could not tell.
    """
    from marketprism.captures.stopping import unless_stopped
    from marketprism.probe.run import Probe

    with report_errors(status=_STATUS["unknown"]):
        quiet_libraries(logging.CRITICAL)
        probing = Probe(stack_settings(data, feed), seconds)
        with _Progress(probing, seconds):
            is_finished = asyncio.run(unless_stopped(probing.run()))
        _print(probing, is_finished, as_json)
        raise typer.Exit(_STATUS[probing.result])


class _Progress(Live):
    """A line for each feed, if there is a terminal, that disappears at the end."""

    def __init__(self, probing: "Probe", seconds: float) -> None:
        self._probing, self._seconds, self._began = probing, seconds, time.monotonic()
        super().__init__(get_renderable=self._table, console=errors, refresh_per_second=_REFRESHES, transient=True)

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        elapsed = f"{time.monotonic() - self._began:.0f} of about {self._seconds:.0f} s"
        for feed in self._probing.feeds:
            table.add_row(feed.name, feed.state, elapsed, f"{sum(cell.frames for cell in feed.cells):,} frames")
        return table


def _print(probing: "Probe", is_finished: bool, as_json: bool) -> None:
    if as_json:
        console.print_json(orjson.dumps(probing.as_dict() | {"finished": is_finished}).decode())
        return
    for feed in probing.feeds:
        _print_feed(feed)
    if not is_finished:
        say("Stopped: these are the results so far.", "yellow")
    say(_CONCLUSIONS[probing.result], _STYLES[probing.result])


def _print_feed(feed: "FeedProbe") -> None:
    from marketprism.probe.summary import rows_of

    clock = "" if feed.clock_offset is None else f"; its clock is {feed.clock_offset / 1000:+,.0f} ms off ours"
    symbols = ", ".join(instrument.symbol for instrument in feed.instruments) or "no instruments"
    console.print(Text.assemble((feed.name, "bold"), f": {symbols}{clock}"), soft_wrap=True)
    table, rows = plain_table(), rows_of(feed)
    table.padding = (0, 1, 0, 0)  # so that all columns fit into a mail of 80 characters
    for name in ("channel", "answered", "first", "frames", "fields", "sequence", "checksum", "verdict"):
        table.add_column(name, no_wrap=True, justify="right" if name in ("first", "frames") else "left")
    for row in rows:
        first = "" if row.first_frame_s is None else f"{row.first_frame_s:.1f} s"
        fields = "" if row.fields is None else f"{row.fields} changed" if row.fields else "ok"
        verdict = Text(row.result, _STYLES[row.result])
        checks = (fields, row.sequence, row.checksum)
        table.add_row(row.channel, row.acknowledged, first, f"{row.frames:,}", *checks, verdict)
    console.print(table)
    for row in rows:
        for reason in row.reason.splitlines():
            say(f"  {row.channel}: {reason}", _STYLES[row.result])
    console.print()
