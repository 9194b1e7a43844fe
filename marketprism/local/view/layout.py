"""Arrange the panels in the size of the terminal."""

from rich.console import Console, ConsoleOptions, RenderResult

from marketprism.local.view.arbitrage import arbitrage
from marketprism.local.view.controls import Controls
from marketprism.local.view.events import events
from marketprism.local.view.feeds import feeds
from marketprism.local.view.header import footer, header
from marketprism.local.view.lines import Line, beside, segments
from marketprism.local.view.market import market
from marketprism.local.view.state import ViewState
from marketprism.local.view.table import Panel

_WIDE = 150  # columns from which the market has all the height
_PAIRED = 110  # columns from which feeds and events fit next to each other
_LEAST = 4  # lines of a panel: title, header, two rows


class View:
    """The whole view, as rich draws it. It fills the terminal, and no line is wider than it."""

    def __init__(self, state: ViewState, controls: Controls) -> None:
        self._state = state
        self._controls = controls

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from segments(self.lines(options.max_width, options.height or options.max_height))

    def lines(self, width: int, height: int) -> list[Line]:
        """Return exactly `height` lines of at most `width` columns."""
        top = header(self._state, width)
        body = self._body(width, max(height - len(top) - 1, 0))
        return [*top, *body, footer(self._controls, width)][:height]

    def _body(self, width: int, height: int) -> list[Line]:
        chosen = self._panels()
        if self._controls.view != "overview":
            return chosen[self._controls.view].lines(width, height)
        if width >= _WIDE:
            left = width * 11 // 20
            stacked = _stack([chosen[name] for name in ("arbitrage", "feeds", "events")], width - left - 2, height)
            return beside(chosen["market"].lines(left, height), stacked, left)
        return _overview(chosen, width, height)

    def _panels(self) -> dict[str, Panel]:
        state, filtered = self._state, self._controls.filter
        panels = (market(state, filtered), arbitrage(state, filtered), feeds(state), events(state))
        return {panel.name: panel for panel in panels}


def _overview(panels: dict[str, Panel], width: int, height: int) -> list[Line]:
    """Stack the panels: the market has at least half of the height, and what the others do not need."""
    below: list[Line] = []
    needed = panels["feeds"].height
    if height // 2 - needed >= _LEAST:
        if width >= _PAIRED:
            left = width * 3 // 5
            below = beside(panels["feeds"].lines(left, needed), panels["events"].lines(width - left - 2, needed), left)
        else:
            below = panels["feeds"].lines(width, needed)
    rest = height - len(below)
    opportunities = max(rest // 3, rest - panels["market"].height)
    return [
        *panels["market"].lines(width, rest - opportunities),
        *panels["arbitrage"].lines(width, opportunities),
        *below,
    ]


def _stack(panels: list[Panel], width: int, height: int) -> list[Line]:
    """Stack panels: the later ones get the height that they need, as far as it leaves some to the earlier ones."""
    lines: list[Line] = []
    for number, panel in reversed(list(enumerate(panels))):
        rest = height - len(lines)
        own = min(panel.height, rest - number * _LEAST) if number else rest
        if own >= _LEAST:
            lines = [*panel.lines(width, own), *lines]
    return lines
