"""Show the arbitrage opportunities, one line each, the open ones first."""

from marketprism.local.view.formats import bps, count, duration, matches, money
from marketprism.local.view.lines import Cell
from marketprism.local.view.state import ViewState
from marketprism.local.view.table import Column, Panel, Row
from marketprism.local.view.waiting import waiting_for
from marketprism.ops.table_stats import Opportunity

_COLUMNS = (
    Column("symbol", least=13, left=True),
    Column("buy → sell", least=17, left=True),
    Column("net bps", least=7),
    Column("peak", rank=3, least=5),
    Column("profit", rank=2, least=9),
    Column("lifetime", rank=1, least=8),
    Column("state", least=13, left=True),
)


def arbitrage(state: ViewState, filtered: str) -> Panel:
    """Return the opportunities whose symbol or exchanges contain a text."""
    stats = state.table_stats.value
    found = [each for each in stats.opportunities if matches(filtered, each.symbol, each.buy, each.sell)]
    rows = [_row(each, stats.newest) for each in found]
    opened, closed = (count(stats.signal_counts.get(name, 0)) for name in ("opened", "closed"))
    facts = f"opened {opened} · closed {closed}"
    age = state.note_of(state.table_stats.age)
    return Panel("arbitrage", "magenta", _COLUMNS, rows, facts, age, filtered, waiting_for(state))


def _row(opportunity: Opportunity, newest: int) -> Row:
    style = "dim" if opportunity.closed else "bold green"
    texts = (
        opportunity.symbol,
        f"{opportunity.buy} → {opportunity.sell}",
        bps(opportunity.net_bps),
        bps(opportunity.peak_net_bps),
        money(opportunity.peak_profit),
        duration(opportunity.lifetime_at(newest) / 1e6),
        opportunity.closed.replace("_", " ") or "● open",
    )
    return tuple(Cell(text, style) for text in texts)
