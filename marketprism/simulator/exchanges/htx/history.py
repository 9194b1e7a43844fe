"""Candles and past trades by REST (docs/protocols/htx.md §4.6, §5.6): the latest 2000 rows, of swaps also ranges."""

from typing import Any

from aiohttp import web

from marketprism.simulator.exchanges.htx import figures, frames
from marketprism.simulator.market.candles import Candle
from marketprism.simulator.market.instrument import SimulatedInstrument, Trade
from schemas.exchanges.htx import SPOT_PERIODS

MOST_ROWS = 2000
_INTERVALS = {period: figures.INTERVALS[interval] for interval, period in SPOT_PERIODS.items()}


class ParameterError(Exception):
    """A rejected parameter; the message names it."""


def whole(request: web.Request, name: str, default: int, most: int) -> int:
    """Return a parameter from 1 to `most`; raise `ParameterError`."""
    text = request.query.get(name, str(default))
    if not text.isdecimal() or not 0 < int(text) <= most:
        raise ParameterError(name)
    return int(text)


def candles(instrument: SimulatedInstrument, request: web.Request, now: int) -> list[Candle]:
    """Return the latest candles, or those of a range in seconds, newest first; raise `ParameterError`."""
    interval = _INTERVALS.get(request.query.get("period", ""))
    if interval is None:
        raise ParameterError("period")
    if "from" not in request.query:
        size = whole(request, "size", 150, MOST_ROWS)
        return instrument.candles.history(interval, size, now + 1, now)[::-1]
    start, end = (whole(request, name, 0, now) * 1000 for name in ("from", "to"))
    return instrument.candles.first(interval, start, end, MOST_ROWS, now)


def spot_candles(instrument: SimulatedInstrument, request: web.Request, now: int) -> list[dict[str, Any]]:
    """Return the rows of spot candles."""
    return [figures.spot_sums(each) for each in candles(instrument, request, now)]


def linear_candles(instrument: SimulatedInstrument, request: web.Request, now: int) -> list[dict[str, Any]]:
    """Return the rows of a swap's candles."""
    return [figures.linear_sums(each, instrument.book.sequence) for each in candles(instrument, request, now)]


def spot_trades(instrument: SimulatedInstrument, request: web.Request, now: int) -> list[dict[str, Any]]:
    """Return the latest spot trades in batches of one, newest first. Their id is spelled with a hyphen."""
    rows = []
    for trade, at_ms in _latest(instrument, request):
        batch = frames.spot_trade(instrument.listing, trade, at_ms)
        for row in batch["data"]:
            row["trade-id"] = row.pop("tradeId")
        rows.append(batch)
    return rows


def linear_trades(instrument: SimulatedInstrument, request: web.Request, now: int) -> list[dict[str, Any]]:
    """Return the latest trades of a swap in batches of one, newest first."""
    return [frames.linear_trade(instrument.listing, trade, at_ms) for trade, at_ms in _latest(instrument, request)]


def mark_prices(instrument: SimulatedInstrument, request: web.Request, now: int) -> list[dict[str, Any]]:
    """Return the rows of the mark price, which moves with the price of trades: text, as on its socket."""
    found = candles(instrument, request, now)
    names = ("open", "close", "low", "high")
    return [{"id": each.start // 1000} | {name: f"{getattr(each, name)}" for name in names} for each in found]


def _latest(instrument: SimulatedInstrument, request: web.Request) -> list[tuple[Trade, int]]:
    found = instrument.tape.latest(whole(request, "size", 1, MOST_ROWS))
    return [(Trade(each.id, each.price, each.lots, each.side, each.number), each.at_ms) for each in reversed(found)]
