"""The command that fills the tables with the past."""

import asyncio
from functools import partial
from typing import Annotated, Any, Literal

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from marketprism.backfill import SHARE
from marketprism.backfill.file_names import HOST
from marketprism.cli.common import StackOption, console, report_errors, say, stack_settings
from schemas.errors import SettingsError
from schemas.feeds import FEEDS, feed_named
from schemas.logs import configure_logs
from schemas.times import FORMS, parse_span


def backfill(
    feed: Annotated[str, typer.Option(help=f"Feed to ask: {', '.join(FEEDS)}.")],
    symbol: Annotated[list[str], typer.Option(help="Instrument to fill, such as BTC-USDT; repeatable.")],
    start: Annotated[str, typer.Option("--from", metavar="TIME", help=f"Begin at this exchange time: {FORMS}.")],
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="End before this exchange time.")] = "now",
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help="candles, trades, funding, mark_prices, open_interest or long_short_ratios; repeatable. "
            "By default candles."
        ),
    ] = None,
    interval: Annotated[str, typer.Option(help="Interval of candles, such as 1m, 1h or 1d.")] = "1m",
    share: Annotated[
        float, typer.Option(min=0.01, max=1.0, help="Share of the exchange's limits to use; ingest uses half of them.")
    ] = SHARE,
    source: Annotated[
        Literal["rest", "files"],
        typer.Option(help="rest: ask the exchange; files: read Binance's public data files, of candles and trades."),
    ] = "rest",
    host: Annotated[str, typer.Option(help="Address of the public data files.")] = HOST,
    data: StackOption = None,
) -> None:
    """Fill the tables from an exchange's history, where rows are missing.

    The answers go through the raw topic, so a worker and a sink must be running. A run that was interrupted or killed
    is continued by the next.
    """
    from marketprism.backfill.run import Wanted, run
    from marketprism.captures.stopping import unless_stopped
    from marketprism.jobs.execution import execute_as

    with report_errors(), Bar() as bar:
        span = parse_span(start, end)
        wanted = Wanted(feed_named(feed).name, [each.upper() for each in symbol], kind or ["candles"], interval, *span)
        settings = stack_settings(data)
        configure_logs(settings)
        filling = partial(run, settings, wanted, share, host if source == "files" else "", bar.show, say)
        is_finished = asyncio.run(unless_stopped(execute_as(settings, "gaps", "marketprism backfill", filling)))
        bar.stop()
        if not is_finished:
            raise SettingsError("stopped: what was received is kept; run the same command again to continue")


class Bar(Progress):
    """Progress bar that appears with the first report."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
        super().__init__(*columns, TimeRemainingColumn(), TextColumn("{task.fields[rate]}"), console=console)
        self._name = ""
        self._task: Any = None

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        if self.live.is_started:
            self.stop()

    def show(self, name: str, summary: Any, what: str, done: float) -> None:
        """Show how far the filling of one instrument and kind is."""
        self.start()
        if name != self._name:
            if self._task is not None:
                self.remove_task(self._task)
            self._name, self._task = name, self.add_task(name, rate="")
        rate = f"{summary.rows / max(summary.seconds, 1e-3):,.0f} rows/s" if summary.rows else ""
        description = name if name.endswith(what) else f"{name}: {what}"
        self.update(self._task, completed=100 * done, description=description, rate=rate)
