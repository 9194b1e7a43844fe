"""Show the market: the newest quote of each instrument, next to those of the other exchanges."""

from collections.abc import Sequence
from itertools import groupby

from marketprism.local.view.formats import bps, duration, matches, prices, size
from marketprism.local.view.lines import Cell
from marketprism.local.view.state import ViewState
from marketprism.local.view.table import Column, Panel, Row
from marketprism.local.view.waiting import waiting_for
from marketprism.ops.latest_quotes import LatestQuote, Price

_COLUMNS = (
    Column("symbol", least=13, left=True, merged=True),
    Column("exchange", left=True),
    Column("size", rank=5, least=6),
    Column("bid", least=9),
    Column("ask", least=9),
    Column("size", rank=5, least=6),
    Column("spread", rank=3, least=6),
    Column("bid off", rank=2, least=7),
    Column("ask off", rank=2, least=7),
    Column("age", rank=1, least=6),
)
_STALE = 10.0  # s after which a quote is no longer compared with others
_MOVED = 3.0  # s for which a change of price is coloured
_BEST, _BY_REST = "best", "REST"
_COLOURS = {1: "green", -1: "red"}


def market(state: ViewState, filtered: str) -> Panel:
    """Return the quotes whose symbol or exchange contains a text, in the order of the settings."""
    order = {symbol: number for number, symbol in enumerate(state.settings.symbols)}

    def place(quote: LatestQuote) -> tuple[int, int, str, str]:
        symbol = quote.symbol
        # The more parts a symbol has, the further it is from spot.
        return order.get(symbol, len(order)), symbol.count("-"), symbol, quote.exchange

    quotes = sorted((each for each in state.quotes if matches(filtered, each.symbol, each.exchange)), key=place)
    groups = [list(group) for _, group in groupby(quotes, lambda quote: quote.symbol)]
    rows = [row for group in groups for row in _rows(state, group)]
    facts = f"{len(rows)} quotes of {len(groups)} symbols · in bps: spread, off the best"
    waiting = waiting_for(state) or "waiting for the first quote"
    return Panel("market", "cyan", _COLUMNS, rows, facts, filtered=filtered, waiting=waiting)


def _rows(state: ViewState, quotes: Sequence[LatestQuote]) -> list[Row]:
    """Return the rows of one symbol."""
    fresh = [quote for quote in quotes if state.age(quote.received_at) <= _STALE and not quote.is_by_rest]
    best_bid = max((float(quote.bid.text) for quote in fresh if quote.bid.text), default=0.0)
    best_ask = min((float(quote.ask.text) for quote in fresh if quote.ask.text), default=0.0)
    texts = prices([side.text for quote in quotes for side in (quote.bid, quote.ask)])
    return [
        _row(state, quote, (bid, ask), (best_bid, best_ask) if len(fresh) > 1 else (0.0, 0.0))
        for quote, bid, ask in zip(quotes, texts[::2], texts[1::2], strict=True)
    ]


def _row(state: ViewState, quote: LatestQuote, texts: tuple[str, str], best: tuple[float, float]) -> Row:
    age = state.age(quote.received_at)
    stale = age > _STALE
    bid_off, ask_off = (
        (_BY_REST, _BY_REST) if quote.is_by_rest else (_off(quote.bid, best[0], stale), _off(quote.ask, best[1], stale))
    )
    return (
        Cell(quote.symbol, "bold"),
        Cell(quote.exchange, "dim" if stale else ""),
        _size(quote.bid),
        Cell(texts[0] or "-", "dim" if stale else _style(state, quote.bid, bid_off)),
        Cell(texts[1] or "-", "dim" if stale else _style(state, quote.ask, ask_off)),
        _size(quote.ask),
        _spread(quote, stale),
        Cell(bid_off, "bold" if bid_off == _BEST else "dim"),
        Cell(ask_off, "bold" if ask_off == _BEST else "dim"),
        Cell(duration(age), "dim" if stale else ""),
    )


def _size(price: Price) -> Cell:
    return Cell(size(float(price.amount)) if price.amount else "-", "dim")


def _off(price: Price, best: float, stale: bool) -> str:
    """Return by how many basis points a price is worse than the best; empty if there is nothing to compare."""
    if stale or not price.text or not best:
        return ""
    difference = abs(float(price.text) - best)
    return bps(difference / best * 1e4) if difference else _BEST


def _style(state: ViewState, price: Price, off: str) -> str:
    if off == _BY_REST:
        return "yellow"
    moved = _COLOURS.get(price.moved, "") if state.age(price.moved_at) <= _MOVED else ""
    return f"bold {moved}".strip() if off == _BEST else moved


def _spread(quote: LatestQuote, stale: bool) -> Cell:
    if not quote.bid.text or not quote.ask.text:
        return Cell("-", "dim")
    bid, ask = float(quote.bid.text), float(quote.ask.text)
    middle = (bid + ask) / 2
    text = bps((ask - bid) / middle * 1e4) if middle else "-"
    return Cell(text, "dim" if stale else "bold red" if bid >= ask else "")
