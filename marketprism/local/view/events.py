"""Show the number of events in every topic, and of the rows stored from it."""

from marketprism.local.view.feeds import LAG_LIMITS
from marketprism.local.view.formats import count, duration, severity
from marketprism.local.view.lines import Cell
from marketprism.local.view.state import ViewState
from marketprism.local.view.table import Column, Panel, Row
from schemas.events import EVENTS, TABLES
from schemas.topics import DEAD_LETTERS

_COLUMNS = (
    Column("topic", least=24, left=True),
    Column("in Kafka", least=8),
    Column("stored", least=6),
    Column("lag", rank=1, least=6),
)


def events(state: ViewState) -> Panel:
    """Return all topics of events."""
    age = state.note_of(max(state.lag.age, state.table_stats.age))
    return Panel("events", "blue", _COLUMNS, [_row(state, name) for name in EVENTS], "", age)


def _row(state: ViewState, name: str) -> Row:
    records = state.lag.value.records.get(name, 0)
    stored = state.table_stats.value.rows.get(TABLES[name], 0)
    lag = state.lag.value.seconds_by_topic.get(name, 0.0)
    style = "bold red" if name == DEAD_LETTERS and records else ""
    return (
        Cell(name, style),
        Cell(count(records), style),
        Cell(count(stored), style),
        Cell(duration(lag), severity(lag, LAG_LIMITS)),
    )
