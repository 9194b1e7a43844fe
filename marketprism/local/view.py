"""Render the live view of a running stack, or single lines for use without a terminal."""

import time
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from marketprism.local.disk import DiskMonitor
from marketprism.local.polled_value import PolledValue, age_note
from marketprism.local.processes import ChildStatus
from marketprism.ops.lag import Lag
from marketprism.ops.raw_topic_stats import RawTopicStats
from marketprism.ops.table_stats import TableStats
from schemas.events import EVENTS, TABLES
from schemas.feeds import FEEDS
from schemas.settings import Settings
from schemas.topics import SINK_GROUP, WORKER_GROUP, raw_topic

_STATES = {"running": "green", "starting": "yellow", "restarting": "red", "stopped": "dim"}


@dataclass
class ViewState:
    """Everything that is shown at one moment. Values that could not be read are marked with their age."""

    title: str
    settings: Settings
    raw_stats: RawTopicStats
    statuses: list[ChildStatus]
    lag: PolledValue[Lag]
    table_stats: PolledValue[TableStats]
    rates: dict[str, float]  # frames/s by feed
    disk: DiskMonitor
    note: str = ""

    @property
    def frames_age(self) -> str:
        """Note on the age of the raw records, of which a running ingest writes some every second."""
        running = any(status.name == "ingest" and status.state != "stopped" for status in self.statuses)
        return age_note(self.raw_stats.age) if running else ""

    @property
    def warnings(self) -> list[str]:
        """Outdated values and low disk space."""
        ages = {
            "frames": self.frames_age,
            "Kafka": age_note(self.lag.age),
            "ClickHouse": age_note(self.table_stats.age),
        }
        found = [f"{name} {age}" for name, age in ages.items() if age]
        if self.disk.state != "ok":
            found.append(f"disk {self.disk.state}: {self.disk.free / 1e9:.2f} GB free")
        return found


class Rates:
    """Frame rates by feed, over the time between two updates."""

    def __init__(self) -> None:
        self._at = time.monotonic()
        self._before: dict[str, int] = {}

    def update(self, frames: dict[str, int]) -> dict[str, float]:
        """Return the rates since the previous call, from the total number of frames by feed."""
        now = time.monotonic()
        elapsed = max(now - self._at, 1e-3)
        rates = {feed: (count - self._before.get(feed, 0)) / elapsed for feed, count in frames.items()}
        self._at, self._before = now, dict(frames)
        return rates


def render(state: ViewState) -> RenderableType:
    """Render the whole view."""
    top = Table.grid(padding=(0, 1), expand=True)
    top.add_column(ratio=3)
    top.add_column(ratio=2)
    top.add_row(_feeds(state), _events(state))
    parts: list[RenderableType] = [_header(state), top, _signals(state)]
    if state.warnings:
        parts.insert(1, Text("   ".join(state.warnings), style="bold red"))
    if state.note:
        parts.append(Text(state.note, style="cyan"))
    return Group(*parts)


def _header(state: ViewState) -> RenderableType:
    line = Text.assemble((" MarketPrism ", "bold reverse"), f"  {state.title}   ")
    for status in state.statuses:
        line.append("● ", style=_STATES[status.state])
        line.append(status.name + (f" (restarted {status.restarts})" if status.restarts else "") + "  ")
    return line


def _table(*columns: tuple[str, str]) -> Table:
    table = Table(box=None, expand=True, padding=(0, 1), header_style="dim")
    for name, justify in columns:
        table.add_column(name, justify="right" if justify == "right" else "left", no_wrap=True)
    return table


def _feeds(state: ViewState) -> Panel:
    figures = ("frames/s", "frames", "books live", "lag")
    table = _table(("feed", ""), ("connection", ""), *((name, "right") for name in figures))
    stats = state.raw_stats
    for feed in sorted({*state.settings.feeds, *stats.frames}):
        connected, instruments = stats.connected.get(feed), len(stats.instruments.get(feed, ()))
        connection = Text("● connected", style="green") if connected else Text("○ not connected", style="red")
        live = f"{state.table_stats.value.live_books.get(feed, 0)}/{instruments}"
        frames = f"{state.rates.get(feed, 0):,.0f}", f"{stats.frames[feed]:,}"
        # Frames without an instrument are counted by exchange.
        exchange = FEEDS[feed].exchange if feed in FEEDS else feed
        lag = state.lag.value.by_topic.get(raw_topic(exchange), 0)
        table.add_row(feed, connection, *frames, live, f"{lag:,}")
    groups = state.lag.value.by_group
    totals = f"lag in records: worker {groups.get(WORKER_GROUP, 0):,}   sink {groups.get(SINK_GROUP, 0):,}"
    return _panel(Group(table, Text(totals, style="dim")), "feeds", state.frames_age, "blue")


def _events(state: ViewState) -> Panel:
    table = _table(("events", ""), ("in Kafka", "right"), ("stored", "right"))
    for name in EVENTS:
        stored = state.table_stats.value.rows.get(TABLES[name], 0)
        records = state.lag.value.records.get(name, 0)
        style = "red" if name == "dead_letters" and records else ""
        table.add_row(name, f"{records:,}", f"{stored:,}", style=style)
    return _panel(table, "events", age_note(max(state.lag.age, state.table_stats.age)), "blue")


def _signals(state: ViewState) -> Panel:
    counts = state.table_stats.value.signal_counts
    table = _table(
        ("at (UTC)", ""),
        ("symbol", ""),
        ("", ""),
        ("buy → sell", ""),
        ("net bps", "right"),
        ("profit", "right"),
        ("lifetime", "right"),
    )
    for signal in state.table_stats.value.signals:
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
    return _panel(table, title, age_note(state.table_stats.age), "magenta")


def _panel(content: RenderableType, title: str, age: str, style: str) -> Panel:
    marked = f"{title}   {age}" if age else title
    return Panel(content, title=marked, title_align="left", border_style="red" if age else style)


def status_line(state: ViewState) -> str:
    """Summarize the view in one line, for logs."""
    frames, rate = sum(state.raw_stats.frames.values()), sum(state.rates.values())
    rows, live = sum(state.table_stats.value.rows.values()), sum(state.table_stats.value.live_books.values())
    signals, lag = state.table_stats.value.signal_counts, state.lag.value
    text = f"frames {frames:,} ({rate:,.0f}/s)  books live {live}  rows {rows:,}  lag {lag.total:,}  "
    text += f"signals opened {signals.get('opened', 0)} closed {signals.get('closed', 0)}  "
    text += f"dead letters {lag.records.get('dead_letters', 0)}"
    return "  ".join([text, *filter(None, [state.note]), *state.warnings])
