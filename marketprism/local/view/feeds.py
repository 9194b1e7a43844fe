"""Show the feeds: their state, their frames, and how old their data is."""

from marketprism.local.view.formats import count, duration, severity
from marketprism.local.view.lines import Cell
from marketprism.local.view.state import ViewState
from marketprism.local.view.table import Column, Panel
from schemas.feeds import FEEDS
from schemas.topics import raw_topic

LAG_LIMITS = (5.0, 30.0)  # s
_AGE_LIMITS = (5.0, 10.0)  # s; a feed without a frame for longer is silent
_STATES = {
    "connected": ("● connected", "green"),
    "silent": ("● silent", "yellow"),
    "by REST": ("◐ by REST", "yellow"),
    "down": ("○ down", "bold red"),
    "waiting": ("○ waiting", "yellow"),
    "connecting": ("○ connecting", "yellow"),
    "unused": ("○ unused", "dim"),
    "stopped": ("○ stopped", "dim"),
}
_COLUMNS = (
    Column("feed", least=13, left=True),
    Column("state", least=11, left=True),
    Column("frames/s", least=8),
    Column("age", least=6),
    Column("lag", rank=2, least=6),
    Column("books", rank=3, least=7),
    Column("frames", rank=4, least=6),
)
_REASON = Column("reason", rank=1, left=True)


def feed_names(state: ViewState) -> list[str]:
    """Return the feeds that are configured or have sent frames.

    Frames without an instrument are counted by exchange.
    """
    return sorted({*state.settings.feeds, *state.raw_stats.frames})


def feed_state(state: ViewState, feed: str) -> str:
    """Return the state of a feed: one of `_STATES`."""
    if state.ingest_stopped:
        return "stopped"
    if feed in state.settings.feeds and not state.settings.selection_of(feed):
        return "unused"
    if 0 < state.raw_stats.instruments.get(feed, 0) <= state.raw_stats.by_rest.get(feed, 0):
        return "by REST"
    connected = state.raw_stats.subscriptions.get(feed)
    if not state.raw_stats.frames.get(feed):
        if connected or state.problems.get(feed) == "":
            return "waiting"
        if state.starting and feed not in state.problems:
            return "connecting"
    if not connected:
        return "down"
    at = state.raw_stats.received_at.get(feed, 0)
    return "silent" if state.age(at) > _AGE_LIMITS[1] else "connected"


def feed_reason(state: ViewState, feed: str) -> str:
    """Return why a feed delivers nothing by socket, as far as it is known; empty if it does."""
    match feed_state(state, feed):
        case "unused":
            return "has none of the symbols"
        case "connecting":
            return f"trying hosts, {duration(state.shown_for)}"
        case "waiting":
            return f"no data yet, {duration(state.shown_for)}"
        case "down" | "by REST":
            is_empty = feed in state.settings.feeds and not state.raw_stats.instruments.get(feed)
            return state.problems.get(feed) or state.raw_stats.lost.get(feed) or ("no instruments" if is_empty else "")
    return ""


def feeds(state: ViewState) -> Panel:
    """Return all feeds, and why some deliver nothing by socket."""
    names = feed_names(state)
    rows, reasons = [_row(state, feed) for feed in names], [feed_reason(state, feed) for feed in names]
    if not any(reasons):
        return Panel("feeds", "blue", _COLUMNS, rows, "", state.frames_age)
    rows = [(*row, Cell(reason)) for row, reason in zip(rows, reasons, strict=True)]
    return Panel("feeds", "blue", (*_COLUMNS, _REASON), rows, "", state.frames_age)


def _row(state: ViewState, feed: str) -> tuple[Cell, ...]:
    stats = state.raw_stats
    received_at = stats.received_at.get(feed)
    age = state.age(received_at) if received_at else None
    exchange = FEEDS[feed].exchange if feed in FEEDS else feed
    lag = state.lag.value.seconds_by_topic.get(raw_topic(exchange), 0.0)
    live = state.table_stats.value.live_books.get(feed, 0)
    return (
        Cell(feed, "bold"),
        Cell(*_STATES[feed_state(state, feed)]),
        Cell(count(state.rates.get(feed, 0))),
        Cell("-" if age is None else duration(age), "dim" if age is None else severity(age, _AGE_LIMITS)),
        Cell(duration(lag), severity(lag, LAG_LIMITS)),
        Cell(f"{count(live)}/{count(stats.instruments.get(feed, 0))}"),
        Cell(count(stats.frames.get(feed, 0))),
    )
