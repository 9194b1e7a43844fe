"""Summarize the view in one line, for use without a terminal."""

from marketprism.local.view.formats import duration
from marketprism.local.view.state import ViewState
from schemas.topics import DEAD_LETTERS


def status_line(state: ViewState) -> str:
    """Summarize the view in one line, for logs."""
    frames, rate = sum(state.raw_stats.frames.values()), sum(state.rates.values())
    rows, live = sum(state.table_stats.value.rows.values()), sum(state.table_stats.value.live_books.values())
    signals, lag = state.table_stats.value.signal_counts, state.lag.value
    behind = duration(max(lag.seconds_by_group.values(), default=0.0))
    text = f"frames {frames:,} ({rate:,.0f}/s)  books live {live}  rows {rows:,}  lag {behind}  "
    text += f"signals opened {signals.get('opened', 0)} closed {signals.get('closed', 0)}  "
    text += f"dead letters {lag.records.get(DEAD_LETTERS, 0)}"
    return "  ".join([text, *filter(None, [state.note]), *state.warnings])
