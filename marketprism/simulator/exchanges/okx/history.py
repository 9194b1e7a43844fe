"""Candles and past trades by REST (docs/protocols/okx.md §3.6): newest first, `after` means older, `before` newer."""

from collections.abc import Callable, Mapping
from typing import Any

from marketprism.simulator.exchanges.okx import figures, frames
from marketprism.simulator.exchanges.okx.answers import Rejected, bound, whole_number
from marketprism.simulator.exchanges.okx.candles import INTERVALS
from marketprism.simulator.market.instrument import SimulatedInstrument
from marketprism.simulator.market.intervals import DAY_MS
from schemas.exchanges.okx import BARS

PastRows = Callable[[SimulatedInstrument, Mapping[str, str], int], list[Any]]

_KEPT_MS = 90 * DAY_MS  # of trades
_NAMES = {bar: name for name, bar in BARS.items()}


def _candles(instrument: SimulatedInstrument, query: Mapping[str, str], now: int) -> list[Any]:
    bar, count = query.get("bar", "1m"), whole_number(query, "limit", 300, 100)
    if bar not in _NAMES:
        raise Rejected("51000", "Parameter bar error")
    after, before = bound(query, "after", now + 1), bound(query, "before", 0)
    candles = instrument.candles.history(INTERVALS[_NAMES[bar]], count, min(after, now + 1), now)
    return [figures.candle_row(instrument, each) for each in reversed(candles) if each.start > before]


def _trades(instrument: SimulatedInstrument, query: Mapping[str, str], now: int) -> list[Any]:
    """Return trades that are older than a number (type 1) or a time (type 2)."""
    count, tape, name = whole_number(query, "limit", 100), instrument.tape, instrument.listing.exchange_symbol
    match query.get("type", "1"):
        case "1":
            stop = tape.number_of(bound(query, "after", 1 << 62))
        case "2":
            stop = tape.first_at(bound(query, "after", now + 1))
        case _:
            raise Rejected("51000", "Parameter type error")
    stop = min(stop, tape.last + 1)
    found = [each for each in tape.trades(stop - count, count) if each.number < stop and each.at_ms >= now - _KEPT_MS]
    listing = instrument.listing
    return [
        frames.trade_row(
            name, each.id, listing.price_text(each.price), listing.amount_text(each.lots), each.side, each.at_ms
        )
        for each in reversed(found)
    ]


PAST: Mapping[str, PastRows] = {
    "/api/v5/market/history-candles": _candles,
    "/api/v5/market/history-trades": _trades,
}
