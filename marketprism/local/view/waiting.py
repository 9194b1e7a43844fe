"""Say which of the first things a run still waits for: a frame, a live book, a signal."""

from marketprism.local.view.formats import duration
from marketprism.local.view.state import ViewState
from schemas.feeds import FEEDS


def waiting_for(state: ViewState) -> str:
    """Return what has not come yet, and for how long it has been waited for; empty if everything has come."""
    settings, tables = state.settings, state.table_stats.value
    exchanges = {FEEDS[feed].exchange for feed in settings.feeds}
    wanted = {"frame": True, "live book": "books" in settings.kinds, "signal": len(exchanges) > 1}
    come = {
        "frame": state.raw_stats.frames,
        "live book": any(tables.live_books.values()),
        "signal": tables.signal_counts.get("opened"),
    }
    first = next((name for name in wanted if wanted[name] and not come[name]), "")
    return f"waiting for the first {first}, {duration(state.shown_for)}" if first else ""
