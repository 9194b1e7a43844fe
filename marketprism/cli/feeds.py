"""Commands about the feeds of a running ingest: their hosts and connections."""

import asyncio
import time
from statistics import fmean
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import JustifyMethod
from rich.padding import Padding
from rich.table import Table

from marketprism.cli.common import (
    FeedOption,
    JsonOption,
    StackOption,
    console,
    plain_table,
    print_json,
    quiet_libraries,
    report_errors,
    say,
    stack_settings,
    time_text,
)
from marketprism.local.view.formats import count, duration
from schemas.errors import StackError
from schemas.feeds import FEEDS

if TYPE_CHECKING:
    from marketprism.ops.connections import Seen
    from schemas.connections import ConnectionReport, HostInUse

feeds_app = typer.Typer(invoke_without_command=True)

_COLUMNS = ("number", "path", "symbols", "frames/s", "of mean", "bytes/s", "latency", "age", "state")
_LEFT = ("path", "state")


@feeds_app.callback()
def feeds(context: typer.Context, as_json: JsonOption = False, data: StackOption = None) -> None:
    """List the hosts and connections of the feeds, or control them.

    Of each connection: its instruments, its load per second and as a share of the mean, the round trip of the last
    WebSocket ping as its latency, and its age. Ingest reports them every few seconds. With --json, instruments are
    named.
    """
    from marketprism.ops.connections import last_reports

    if context.invoked_subcommand:
        return
    quiet_libraries()
    with report_errors():
        settings = stack_settings(data)
        found = asyncio.run(last_reports(settings))
        if as_json:
            print_json([{"age_s": each.age_s, **msgspec.to_builtins(each.report)} for each in found])
        elif found:
            _print_feeds(found)
        else:
            raise StackError(f"no ingest reports connections at {settings.kafka}: start one, or see its log")


@feeds_app.command()
def reconnect(feed: FeedOption = None, data: StackOption = None) -> None:
    """Move connections to new sockets without a gap.

    Old sockets are closed once the new ones receive data, so that no book is interrupted.
    """
    from marketprism.ops.connections import last_reports
    from marketprism.ops.control import ask_to_reconnect

    quiet_libraries()
    with report_errors():
        settings = stack_settings(data, feed)
        live = {each.report.feed for each in asyncio.run(last_reports(settings)) if each.is_live}
        if not (served := [name for name in settings.feeds if name in live]):
            raise StackError(f"no ingest is connected to {', '.join(settings.feeds)}: start one, or see its log")
        asyncio.run(ask_to_reconnect(settings, served))
        say(f"requested to reconnect: {', '.join(served)}")


@feeds_app.command()
def move(
    symbol: Annotated[str, typer.Argument(metavar="SYMBOL", help="Instrument, such as BTC-USDT.")],
    feed: Annotated[str, typer.Option("--feed", help=f"Its feed: {', '.join(FEEDS)}.")],
    to: Annotated[
        int | None,
        typer.Option("--to", min=1, help="Number of the connection. By default, the idlest with a free place."),
    ] = None,
    data: StackOption = None,
) -> None:
    """Move an instrument to another connection of its feed without a gap.

    The old connection unsubscribes once the new one delivers everything. The exit status is 1 if the instrument stays
    where it is. A later balancing of the feed may move it again.
    """
    from marketprism.ops.connections import move_instrument

    symbol = symbol.upper()
    quiet_libraries()
    with report_errors():
        settings = stack_settings(data, [feed])
        [feed] = settings.feeds
        say(f"moving {symbol}: waiting until another connection of {feed} delivers its channels")
        answers = asyncio.run(move_instrument(settings, feed, symbol, to or 0))
        for answer in answers:
            if not answer.failure:
                say(f"{symbol} has moved from connection {answer.source} to connection {answer.target}")
        if failures := [answer.failure for answer in answers if answer.failure]:
            raise StackError(f"{symbol} was not moved: {'; '.join(failures)}")


def _print_feeds(found: list["Seen"]) -> None:
    several = len({each.report.ingest for each in found}) > 1
    for number, each in enumerate(found):
        report, connections = each.report, each.report.connections
        instruments = len({symbol for connection in connections for symbol in connection.symbols})
        frames = count(sum(connection.frames for connection in connections))
        what = "connection" if len(connections) == 1 else "connections"
        summary = f"{len(connections)} {what}, {instruments} instruments, {frames} frames/s"
        ingest = f", ingest {report.ingest}" if several else ""
        say(("\n" if number else "") + f"{report.feed}: {summary}{ingest}", "bold")
        if not each.is_live:
            say(f"  last seen {duration(each.age_s)} ago: its ingest was killed, or has lost the broker", "yellow")
        for host in report.hosts:
            say(f"  {host.where:<4} {host.uplink}: {_why(host)}")
        if connections:
            console.print(Padding(_table(connections, report.capacity), (0, 0, 0, 2), expand=False))


def _why(host: "HostInUse") -> str:
    return f"since {time_text(host.since)} UTC, {host.reason}" if host.since else host.reason


def _table(connections: list["ConnectionReport"], capacity: int) -> Table:
    table = plain_table()
    for name in _COLUMNS:
        justify: JustifyMethod = "left" if name in _LEFT else "right"
        table.add_column(name, justify=justify, no_wrap=name != "path", overflow="fold")
    for each in connections:
        mean = fmean(other.frames for other in connections if other.path == each.path)
        table.add_row(
            str(each.number),
            each.path,
            f"{len(each.symbols)}/{capacity}",
            count(each.frames),
            f"{each.frames / mean:.0%}" if mean else "",
            count(each.bytes),
            duration(each.round_trip / 1e6) if each.round_trip is not None else "",
            duration(time.time() - each.opened_at / 1e6) if each.opened_at else "",
            each.state,
        )
    return table
