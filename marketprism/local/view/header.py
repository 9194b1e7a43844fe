"""Show what matters in every view: the processes, the health of the whole, what is wrong, and the keys."""

from marketprism.local.roles import DASHBOARD
from marketprism.local.view.controls import VIEWS, Controls
from marketprism.local.view.feeds import LAG_LIMITS, feed_names, feed_state
from marketprism.local.view.formats import count, duration, severity
from marketprism.local.view.lines import Cell, Line, fit, width_of
from marketprism.local.view.state import ViewState
from schemas.topics import DEAD_LETTERS, SINK_GROUP, WORKER_GROUP

_STATES = {"running": "green", "starting": "yellow", "restarting": "red", "stopped": "dim"}
_GROUPS = {"worker": WORKER_GROUP, "sink": SINK_GROUP}


def header(state: ViewState, width: int) -> list[Line]:
    """Return the lines above the panels."""
    lines = [_processes(state, width), fit(_health(state), width)]
    if state.warnings:
        lines.append(fit([[Cell(text, "bold red")] for text in state.warnings], width))
    if state.note:
        lines.append(fit([[Cell(text, "cyan")] for text in state.note.split("  ")], width))
    return lines


def _processes(state: ViewState, width: int) -> Line:
    items = [[Cell(" MarketPrism ", "bold reverse")]]
    # Those in trouble come first, as there may not be space for all.
    for status in sorted(state.statuses, key=lambda status: status.state == "running"):
        restarts = f" (restarted {status.restarts})" if status.restarts else ""
        items.append([Cell("● ", _STATES[status.state]), Cell(status.name + restarts)])
    if any(status.name == DASHBOARD.name for status in state.statuses):
        items.append([Cell(f"http://{state.settings.api_address}/", "cyan")])
    return fit([*items, [Cell(state.title, "dim")]], width)


def _health(state: ViewState) -> list[Line]:
    lag, tables = state.lag.value, state.table_stats.value
    dead = lag.records.get(DEAD_LETTERS, 0)
    seconds = {name: lag.seconds_by_group.get(group, 0.0) for name, group in _GROUPS.items()}
    return [
        _feeds(state),
        *(
            [Cell(f"{name} lag ", "dim"), Cell(duration(value), severity(value, LAG_LIMITS))]
            for name, value in seconds.items()
        ),
        [Cell("dead letters ", "dim"), Cell(count(dead), "bold red" if dead else "")],
        [Cell(count(sum(state.rates.values()))), Cell(" frames/s", "dim")],
        [Cell("live books ", "dim"), Cell(count(sum(tables.live_books.values())))],
        [Cell("stored ", "dim"), Cell(count(sum(tables.rows.values()))), Cell(" rows", "dim")],
    ]


def _feeds(state: ViewState) -> Line:
    states = {name: feed_state(state, name) for name in feed_names(state) if name in state.settings.feeds}
    right, total = sum(each == "connected" for each in states.values()), len(states)
    found = [
        *(Cell(f" {name} {each}", "bold red") for name, each in states.items() if each in ("silent", "down")),
        *(Cell(f" {name} {each}", "yellow") for name, each in states.items() if each == "by REST"),
        *(Cell(f" {each}", "yellow") for each in states.values() if each in ("connecting", "waiting", "stopped")),
    ]
    return [Cell("feeds ", "dim"), Cell(f"{right}/{total}", found[0].style if found else "green"), *found[:1]]


def footer(controls: Controls, width: int) -> Line:
    """Return the line below the panels: what was typed, the keys, and the views."""
    left = _typing(controls) if controls.typing else _keys(controls)
    views = [Cell(f" {name} ", "reverse" if name == controls.view else "dim") for name in VIEWS]
    used = width_of(fit(left, width)) + 2
    return fit([*left, views if used + width_of(views) <= width else [Cell(f" {controls.view} ", "reverse")]], width)


def _typing(controls: Controls) -> list[Line]:
    typed = [Cell("filter ", "bold"), Cell(controls.filter), Cell(" ", "reverse")]
    return [typed, _key("Enter", "keep"), _key("Esc", "clear")]


def _keys(controls: Controls) -> list[Line]:
    items = [[Cell(" PAUSED ", "black on yellow")]] if controls.paused else []
    if controls.filter:
        items.append([Cell("filter ", "dim"), Cell(controls.filter, "bold yellow")])
    items += [_key("q", "quit"), _key("p", "continue" if controls.paused else "pause"), _key("Tab", "next view")]
    return [*items, _key("/", "filter"), *([_key("Esc", "clear")] if controls.filter else [])]


def _key(name: str, meaning: str) -> Line:
    return [Cell(name, "bold"), Cell(f" {meaning}", "dim")]
