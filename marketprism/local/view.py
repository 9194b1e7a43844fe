"""The live view of a running stack, and the lines that take its place where there is no terminal."""

import time
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from marketprism.local.disk import DiskWatch
from marketprism.local.processes import Status
from marketprism.local.reading import Reading, aged
from marketprism.ops.lag import Offsets
from marketprism.ops.raw_topic_stats import RawTopicStats
from marketprism.ops.table_stats import TableStats
from schemas.feeds import FEEDS
from schemas.settings import Settings
from schemas.topics import SINK_GROUP, WORKER_GROUP, raw_topic

_EVENTS = ("market.trades", "market.books", "market.quotes", "market.gaps", "market.quality", "market.status",
           "signals.arbitrage", "dead_letters")  # fmt: skip
_STATES = {"running": "green", "starting": "yellow", "restarting": "red", "stopped": "dim"}


@dataclass
class Picture:
    """Everything that is shown, as of one moment; what could not be read then is marked with its age."""

    title: str
    settings: Settings
    watch: RawTopicStats
    statuses: list[Status]
    offsets: Reading[Offsets]
    stored: Reading[TableStats]
    rates: dict[str, float]
    disk: DiskWatch
    note: str = ""

    @property
    def heard(self) -> str:
        """The age of the frames, where ingest runs and should be heard each second."""
        running = any(status.name == "ingest" and status.state != "stopped" for status in self.statuses)
        return aged(self.watch.age) if running else ""

    @property
    def warnings(self) -> list[str]:
        """What of the picture is old, and what the disk lacks."""
        ages = {"frames": self.heard, "Kafka": aged(self.offsets.age), "ClickHouse": aged(self.stored.age)}
        found = [f"{name} {age}" for name, age in ages.items() if age]
        if self.disk.state != "ok":
            found.append(f"disk {self.disk.state}: {self.disk.free / 1e9:.2f} GB free")
        return found


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
    if picture.warnings:
        parts.insert(1, Text("   ".join(picture.warnings), style="bold red"))
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
        live = f"{picture.stored.value.live.get(feed, 0)}/{wanted}"
        frames = f"{picture.rates.get(feed, 0):,.0f}", f"{watch.frames[feed]:,}"
        exchange = FEEDS[feed].exchange if feed in FEEDS else feed  # frames of no instrument count for their exchange
        lag = picture.offsets.value.behind.get(raw_topic(exchange), 0)
        table.add_row(feed, state, *frames, live, f"{lag:,}")
    groups = picture.offsets.value.lag
    behind = f"lag in records: worker {groups.get(WORKER_GROUP, 0):,}   sink {groups.get(SINK_GROUP, 0):,}"
    return _panel(Group(table, Text(behind, style="dim")), "feeds", picture.heard, "blue")


def _events(picture: Picture) -> Panel:
    table = _table(("events", ""), ("in Kafka", "right"), ("stored", "right"))
    for name in _EVENTS:
        stored = picture.stored.value.rows.get(name.rpartition(".")[2].replace("arbitrage", "signals"), 0)
        records = picture.offsets.value.records.get(name, 0)
        style = "red" if name == "dead_letters" and records else ""
        table.add_row(name, f"{records:,}", f"{stored:,}", style=style)
    return _panel(table, "events", aged(max(picture.offsets.age, picture.stored.age)), "blue")


def _signals(picture: Picture) -> Panel:
    counts = picture.stored.value.signal_counts
    table = _table(
        ("at (UTC)", ""),
        ("symbol", ""),
        ("", ""),
        ("buy → sell", ""),
        ("net bps", "right"),
        ("profit", "right"),
        ("lifetime", "right"),
    )
    for signal in picture.stored.value.signals:
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
    return _panel(table, title, aged(picture.stored.age), "magenta")


def _panel(content: RenderableType, title: str, age: str, style: str) -> Panel:
    marked = f"{title}   {age}" if age else title
    return Panel(content, title=marked, title_align="left", border_style="red" if age else style)


def line(picture: Picture) -> str:
    """The view in one line, for logs."""
    frames, rate = sum(picture.watch.frames.values()), sum(picture.rates.values())
    rows, live = sum(picture.stored.value.rows.values()), sum(picture.stored.value.live.values())
    signals, offsets = picture.stored.value.signal_counts, picture.offsets.value
    said = f"frames {frames:,} ({rate:,.0f}/s)  books live {live}  rows {rows:,}  lag {offsets.total_lag:,}  "
    said += f"signals opened {signals.get('opened', 0)} closed {signals.get('closed', 0)}  "
    said += f"dead letters {offsets.records.get('dead_letters', 0)}"
    return "  ".join([said, *filter(None, [picture.note]), *picture.warnings])


def summary(picture: Picture, seconds: float) -> str:
    """The last words of a run."""
    counts, records = picture.stored.value.signal_counts, picture.offsets.value.records
    feeds = "  ".join(f"{feed} {count:,}" for feed, count in sorted(picture.watch.frames.items()))
    events = "  ".join(f"{name} {records.get(name, 0):,}" for name in _EVENTS)
    rows = "  ".join(f"{table} {count:,}" for table, count in picture.stored.value.rows.items())
    restarts = sum(status.restarts for status in picture.statuses)
    warnings = [f"  note           {', '.join(picture.warnings)}"] if picture.warnings else []
    return "\n".join(
        [
            f"Summary of {seconds:.0f} s",
            f"  frames in      {sum(picture.watch.frames.values()):,}  ({feeds})",
            f"  events         {events}",
            f"  signals        opened {counts.get('opened', 0)}  closed {counts.get('closed', 0)}",
            f"  rows stored    {sum(picture.stored.value.rows.values()):,}  ({rows})",
            f"  lag            {picture.offsets.value.total_lag}",
            f"  restarts       {restarts}",
            f"  dead letters   {records.get('dead_letters', 0)}",
            *warnings,
        ]
    )
