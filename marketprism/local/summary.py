"""Summarize a run at its end: what was received and stored, what remains, and where the data is."""

import shlex
import textwrap

from marketprism.local.status import duration
from marketprism.local.view import ViewState

_INDENT = 13  # columns before the texts


def summary(state: ViewState, seconds: float, kept_in: str, width: int) -> str:
    """Return the summary of a run that took `seconds`, in lines of `width` columns.

    `kept_in`: its data directory; empty if it is deleted.
    """
    frames, rows = state.raw_stats.frames, state.table_stats.value.rows
    signals, letters = state.table_stats.value.signal_counts, state.lag.value.records.get("dead_letters", 0)
    restarts = {status.name: status.restarts for status in state.statuses if status.restarts}
    lines = {
        "received": f"{sum(frames.values()):,} frames{_parts(dict(frames))}",
        "stored": f"{sum(rows.values()):,} rows{_parts(rows)}",
        "remaining": _remaining(state, kept_in),
        "signals": f"{signals.get('opened', 0):,} opened, {signals.get('closed', 0):,} closed",
        "set aside": f"{letters:,} dead letters" if letters else "nothing",
        "restarts": _parts(restarts).removeprefix(": ") or "none",
        "warnings": ", ".join(state.warnings),
        "data": "kept, and queried by:" if kept_in else "deleted; --data DIR keeps it",
    }
    rendered = [_wrapped(f"  {name:<10} {text}", width) for name, text in lines.items() if text]
    # A command that is wrapped could not be pasted.
    command = [f'marketprism sql --data {shlex.quote(kept_in)} "SELECT …"'] if kept_in else []
    return "\n".join([f"Ran for {duration(seconds)}.", *rendered, *command])


def _wrapped(line: str, width: int) -> str:
    """Wrap a line between words, and indent what follows like its text."""
    head, text = line[:_INDENT], line[_INDENT:]
    wrapper = textwrap.TextWrapper(width, head, " " * _INDENT, break_long_words=False, break_on_hyphens=False)
    return wrapper.fill(text)


def _parts(counts: dict[str, int]) -> str:
    """List what is not zero, the largest first."""
    largest_first = sorted(counts.items(), key=lambda item: -item[1])
    listed = ", ".join(f"{name} {count:,}" for name, count in largest_first if count)
    return f": {listed}" if listed else ""


def _remaining(state: ViewState, kept_in: str) -> str:
    lag = state.lag.value
    if not lag.total:
        return "nothing: everything that was received is stored"
    seconds = max(lag.seconds_by_group.values(), default=0.0)
    then = f"processed when the system runs with --data {kept_in} again" if kept_in else "deleted with the data"
    return f"{lag.total:,} records, the oldest {seconds:,.1f} s old, are not stored yet: they are {then}"
