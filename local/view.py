"""The live view of a running stack, and the lines that take its place where there is no terminal."""

import time
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from local.feed_watch import FeedWatch
from local.processes import Status
from local.progress import Offsets
from local.stored import Stored
from schemas.feeds import FEEDS
from schemas.settings import Settings
from schemas.topics import SINK_GROUP, WORKER_GROUP, raw_topic

_EVENTS = ("market.trades", "market.books", "market.quotes", "market.gaps", "market.quality", "market.status",
           "signals.arbitrage", "dead_letters")  # fmt: skip
_STATES = {"running": "green", "starting": "yellow", "restarting": "red", "stopped": "dim"}


@dataclass
class Picture:
    """Everything that is shown, as of one moment."""

    title: str
    settings: Settings
    watch: FeedWatch
    statuses: list[Status]
    offsets: Offsets
    stored: Stored
    rates: dict[str, float]
    note: str = ""


class Rates:
    """Frames a second by feed, over the time between calls."""

    def __init__(self) -> None:
        self._at = time.monotonic()
        self._before: dict[str, int] = {}

    def update(self, frames: dict[str, int]) -> dict[str, float]:
        now = time.monotonic()
        elapsed = max(now - self._at, 1e-3)
        rates = {feed: (count - self._before.get(feed, 0)) / elapsed for feed, count in frames.items()}
        self._at, self._before = now, dict(frames)
        return rates


def render(picture: Picture) -> RenderableType:
    """The whole view."""
    top = Table.grid(padding=(0, 1), expand=True)
    top.add_column(ratio=3)
    top.add_column(ratio=2)
    top.add_row(_feeds(picture), _events(picture))
    parts: list[RenderableType] = [_header(picture), top, _signals(picture)]
    if picture.note:
        parts.append(Text(picture.note, style="cyan"))
    return Group(*parts)


def _header(picture: Picture) -> RenderableType:
    line = Text.assemble((" MarketPrism ", "bold reverse"), f"  {picture.title}   ")
    for status in picture.statuses:
        line.append("● ", style=_STATES[status.state])
        line.append(status.name + (f" (restarted {status.restarts})" if status.restarts else "") + "  ")
    return line


def _table(*columns: tuple[str, str]) -> Table:
    table = Table(box=None, expand=True, padding=(0, 1), header_style="dim")
    for name, justify in columns:
        table.add_column(name, justify="right" if justify == "right" else "left", no_wrap=True)
    return table


def _feeds(picture: Picture) -> Panel:
    figures = ("frames/s", "frames", "books live", "lag")
    table = _table(("feed", ""), ("connection", ""), *((name, "right") for name in figures))
    watch = picture.watch
    for feed in sorted({*picture.settings.feeds, *watch.frames}):
        up, wanted = watch.connected.get(feed), len(watch.instruments.get(feed, ()))
        state = Text("● connected", style="green") if up else Text("○ not connected", style="red")
        live = f"{picture.stored.live.get(feed, 0)}/{wanted}"
        frames = f"{picture.rates.get(feed, 0):,.0f}", f"{watch.frames[feed]:,}"
        exchange = FEEDS[feed].exchange if feed in FEEDS else feed  # frames of no instrument count for their exchange
        lag = picture.offsets.behind.get(raw_topic(exchange), 0)
        table.add_row(feed, state, *frames, live, f"{lag:,}")
    groups = picture.offsets.lag
    behind = f"lag in records: worker {groups.get(WORKER_GROUP, 0):,}   sink {groups.get(SINK_GROUP, 0):,}"
    return Panel(Group(table, Text(behind, style="dim")), title="feeds", title_align="left", border_style="blue")


def _events(picture: Picture) -> Panel:
    table = _table(("events", ""), ("in Kafka", "right"), ("stored", "right"))
    for name in _EVENTS:
        stored = picture.stored.rows.get(name.rpartition(".")[2].replace("arbitrage", "signals"), 0)
        records = picture.offsets.records.get(name, 0)
        style = "red" if name == "dead_letters" and records else ""
        table.add_row(name, f"{records:,}", f"{stored:,}", style=style)
    return Panel(table, title="events", title_align="left", border_style="blue")


def _signals(picture: Picture) -> Panel:
    counts = picture.stored.signal_counts
    table = _table(
        ("at (UTC)", ""),
        ("symbol", ""),
        ("", ""),
        ("buy → sell", ""),
        ("net bps", "right"),
        ("profit", "right"),
        ("lifetime", "right"),
    )
    for signal in picture.stored.signals:
        kind = signal["type"] + (f" ({signal['reason'].replace('_', ' ')})" if signal["reason"] else "")
        style = {"opened": "bold green", "updated": "green"}.get(signal["type"], "dim")
        table.add_row(
            signal["at"][11:23],
            signal["symbol"],
            kind,
            f"{signal['buy_exchange']} → {signal['sell_exchange']}",
            f"{signal['net_bps']:.1f}",
            f"{signal['profit']:,.2f}",
            f"{int(signal['lifetime']) / 1e6:.2f} s",
            style=style,
        )
    title = f"arbitrage   opened {counts.get('opened', 0)}   closed {counts.get('closed', 0)}"
    return Panel(table, title=title, title_align="left", border_style="magenta")


def line(picture: Picture) -> str:
    """The view in one line, for logs."""
    frames, rate = sum(picture.watch.frames.values()), sum(picture.rates.values())
    rows, live = sum(picture.stored.rows.values()), sum(picture.stored.live.values())
    signals = picture.stored.signal_counts
    said = f"frames {frames:,} ({rate:,.0f}/s)  books live {live}  rows {rows:,}  lag {picture.offsets.total_lag:,}  "
    said += f"signals opened {signals.get('opened', 0)} closed {signals.get('closed', 0)}  "
    return said + f"dead letters {picture.offsets.records.get('dead_letters', 0)}" + f"  {picture.note}".rstrip()


def summary(picture: Picture, seconds: float) -> str:
    """The last words of a run."""
    counts, records = picture.stored.signal_counts, picture.offsets.records
    feeds = "  ".join(f"{feed} {count:,}" for feed, count in sorted(picture.watch.frames.items()))
    events = "  ".join(f"{name} {records.get(name, 0):,}" for name in _EVENTS)
    rows = "  ".join(f"{table} {count:,}" for table, count in picture.stored.rows.items())
    restarts = sum(status.restarts for status in picture.statuses)
    return "\n".join(
        [
            f"Summary of {seconds:.0f} s",
            f"  frames in      {sum(picture.watch.frames.values()):,}  ({feeds})",
            f"  events         {events}",
            f"  signals        opened {counts.get('opened', 0)}  closed {counts.get('closed', 0)}",
            f"  rows stored    {sum(picture.stored.rows.values()):,}  ({rows})",
            f"  lag            {picture.offsets.total_lag}",
            f"  restarts       {restarts}",
            f"  dead letters   {records.get('dead_letters', 0)}",
        ]
    )
