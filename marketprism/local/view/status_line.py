"""Summarize the view in one line, for use without a terminal."""

from marketprism.local.view.feeds import feed_reason, feed_state
from marketprism.local.view.formats import duration
from marketprism.local.view.state import ViewState
from marketprism.local.view.waiting import waiting_for
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
    feeds = _feeds(state) if state.has_ingest else []
    return "  ".join([*feeds[:1], text, *filter(None, [waiting_for(state), state.note]), *feeds[1:], *state.warnings])


def _feeds(state: ViewState) -> list[str]:
    """Return how many feeds deliver, and what is to be said of the others, once for all of which it is the same."""
    names: dict[str, list[str]] = {}
    for feed in state.settings.feeds:
        found, reason = feed_state(state, feed), feed_reason(state, feed)
        names.setdefault(f"{found} ({reason})" if reason else found, []).append(feed)
    connected = names.pop("connected", [])
    return [
        f"feeds {len(connected)}/{len(state.settings.feeds)}",
        *(f"{', '.join(feeds)} {text}" for text, feeds in names.items()),
    ]
