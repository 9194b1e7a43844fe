"""Summarize a run at its end."""

from marketprism.local.view import ViewState
from schemas.events import EVENTS


def summary(state: ViewState, seconds: float) -> str:
    """Return the summary of a run that took `seconds`."""
    counts, records = state.table_stats.value.signal_counts, state.lag.value.records
    feeds = "  ".join(f"{feed} {count:,}" for feed, count in sorted(state.raw_stats.frames.items()))
    events = "  ".join(f"{name} {records.get(name, 0):,}" for name in EVENTS)
    rows = "  ".join(f"{table} {count:,}" for table, count in state.table_stats.value.rows.items())
    restarts = sum(status.restarts for status in state.statuses)
    warnings = [f"  note           {', '.join(state.warnings)}"] if state.warnings else []
    return "\n".join(
        [
            f"Summary of {seconds:.0f} s",
            f"  frames in      {sum(state.raw_stats.frames.values()):,}  ({feeds})",
            f"  events         {events}",
            f"  signals        opened {counts.get('opened', 0)}  closed {counts.get('closed', 0)}",
            f"  rows stored    {sum(state.table_stats.value.rows.values()):,}  ({rows})",
            f"  lag            {state.lag.value.total}",
            f"  restarts       {restarts}",
            f"  dead letters   {records.get('dead_letters', 0)}",
            *warnings,
        ]
    )
