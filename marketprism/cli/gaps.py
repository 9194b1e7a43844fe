"""The command that lists what the tables lack, and fills it."""

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Annotated

import orjson
import typer
from rich.table import Table

from marketprism.backfill import SHARE
from marketprism.cli.backfill import Bar
from marketprism.cli.common import (
    StackOption,
    console,
    plain_table,
    quiet_libraries,
    report_errors,
    say,
    stack_settings,
    time_text,
)
from schemas.feeds import feed_named
from schemas.times import FORMS, parse_span

if TYPE_CHECKING:
    from marketprism.backfill.ledger import Entry

_STATES = {
    "missing": ("missing", "yellow"),
    "filled": ("filled", "green"),
    "arrived": ("arrived late", "green"),
    "lost": ("lost: no exchange offers past books", "dim"),
}


def gaps(
    start: Annotated[str, typer.Option("--from", metavar="TIME", help=f"Start: {FORMS}.")] = "24h ago",
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="End.")] = "now",
    feed: Annotated[list[str] | None, typer.Option(help="Feed to list; repeatable.")] = None,
    symbol: Annotated[list[str] | None, typer.Option(help="Instrument to list, such as BTC-USDT; repeatable.")] = None,
    fill: Annotated[bool, typer.Option("--fill", help="Fill what the exchanges' REST history offers.")] = False,
    share: Annotated[
        float, typer.Option(min=0.01, max=1.0, help="Share of the exchanges' limits that filling uses.")
    ] = SHARE,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    data: StackOption = None,
) -> None:
    """List holes in trades, candles and books, and fill those that can be filled.

    The exit status is 1 if something is missing at the end.
    """
    from marketprism.backfill.fill import fill as fill_entries
    from marketprism.backfill.holes import Span
    from marketprism.backfill.ledger import check_selection, ledger
    from marketprism.jobs.execution import execute_as

    with report_errors():
        quiet_libraries()
        settings, span = stack_settings(data), Span(*parse_span(start, end))
        feeds = {feed_named(name).name for name in feed or ()}
        symbols = {name.upper() for name in symbol or ()}
        asyncio.run(check_selection(settings, feeds, symbols))
        found = asyncio.run(ledger(settings, span, feeds, symbols))
        if fill and any(entry.can_be_filled for entry in found):
            with Bar() as bar:
                filling = partial(fill_entries, settings, found, share, bar.show, say)
                asyncio.run(execute_as(settings, "gaps", "marketprism gaps --fill", filling))
            found = asyncio.run(ledger(settings, span, feeds, symbols))
        _print(found, as_json)
    if any(entry.state == "missing" for entry in found):
        raise typer.Exit(1)


def _print(found: "list[Entry]", as_json: bool) -> None:
    if as_json:
        console.print_json(orjson.dumps([entry._asdict() for entry in found]).decode())
        return
    if not found:
        say("Nothing is missing in this time.")
        return
    console.print(_table(found))
    counts = {state: sum(entry.state == state for entry in found) for state in _STATES}
    say(", ".join(f"{count:,} {state}" for state, count in counts.items() if count) + ".")
    if any(entry.can_be_filled for entry in found):
        say("Run it with --fill to ask the exchanges for what is missing.")


def _table(found: "list[Entry]") -> Table:
    table = plain_table()
    for name in ("from", "to", "exchange", "symbol", "of", "what", "state"):
        table.add_column(name, no_wrap=name in ("from", "to", "symbol"))
    for entry in found:
        text, style = _STATES[entry.state]
        what = f"{entry.what} {entry.interval}".strip()
        end = time_text(entry.end) if entry.end else "still open"
        table.add_row(
            time_text(entry.begin), end, entry.exchange, entry.symbol, what, entry.detail, f"[{style}]{text}[/]"
        )
    return table
