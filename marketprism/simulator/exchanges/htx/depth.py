"""Books by REST (docs/protocols/htx.md §4.6, §5.6)."""

from typing import Any

from aiohttp import web

from marketprism.simulator.exchanges.htx import figures
from marketprism.simulator.exchanges.htx.history import ParameterError, whole
from marketprism.simulator.market.instrument import SimulatedInstrument

_STEPS = ("step0", "step1", "step2", "step3", "step4", "step5")  # of spot; merged from step 1 on
_UNMERGED = {"step0": 150, "step6": 20}  # levels of a swap's book, by the steps without merging


def spot_depth(instrument: SimulatedInstrument, request: web.Request, now: int) -> dict[str, Any]:
    """Return a spot book; raise `ParameterError`."""
    if request.query.get("type") not in _STEPS:
        raise ParameterError("type")
    book = figures.spot_step(instrument, _STEPS.index(request.query["type"]), now)
    count = whole(request, "depth", 150, 150)
    return book | {name: book[name][:count] for name in ("bids", "asks")}


def linear_depth(instrument: SimulatedInstrument, request: web.Request, now: int) -> dict[str, Any]:
    """Return a swap's unmerged book; raise `ParameterError`."""
    step = request.query.get("type", "")
    if step not in _UNMERGED:
        raise ParameterError("type")
    topic = f"market.{instrument.listing.exchange_symbol}.depth.{step}"
    return figures.linear_step(instrument, topic, _UNMERGED[step], now)
