"""Exchanges, feeds, instruments, and an instrument compared across exchanges."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from marketprism.api.answers import json_answer, list_answer
from marketprism.api.context import Service
from marketprism.api.feed_state import Instrument
from marketprism.api.lookup import known_exchange, known_symbol
from marketprism.api.routes.parameters import ExchangeFilter, PatternFilter, SymbolPath
from schemas.events.definitions import InstrumentChange
from schemas.symbols import Selection

router = APIRouter(prefix="/api", tags=["exchanges and instruments"])


class FeedModel(BaseModel):
    """State of one feed."""

    model_config = ConfigDict(from_attributes=True)

    feed: str
    exchange: str
    state: Literal["starting", "live", "degraded", "stale", "down"] = Field(
        description="degraded: some channel is down or silent, or the pipeline is behind; "
        "stale, down: no event for 15 s, 60 s"
    )
    reason: str = Field(description="why it is not live")
    age: int | None = Field(description="since its last event, microseconds")
    last_at: int = Field(description="receipt of its last event; 0: none yet")
    latency: int | None = Field(description="from exchange time to receipt, median, microseconds")
    frames_per_second: float = Field(description="in the workers' last reports")
    instruments: int
    instruments_down: int
    silent: list[str] = Field(description="channels without messages, as channel:symbol")
    by_rest: list[str] = Field(description="symbols whose quotes are polled by REST, as no socket brings the book")
    hosts: list[str] = Field(
        description="last changes of its host or proxy: `ws` or `rest`, which one, and why; empty: it has only one"
    )


class ExchangeModel(BaseModel):
    """An exchange and its feeds."""

    exchange: str
    state: Literal["starting", "live", "degraded", "stale", "down"] = Field(description="of its best feed")
    feeds: list[FeedModel]


class RowModel(BaseModel):
    """One exchange's best prices; empty without a level."""

    exchange: str
    state: Literal["live", "rest", "stale", "down"] = Field(description="rest: polled, as no socket brings the book")
    bid: str
    bid_amount: str
    ask: str
    ask_amount: str
    last_at: int = Field(description="receipt of the quote")
    bid_bps: float | None = Field(description="distance to the best bid, basis points")
    ask_bps: float | None = Field(description="distance to the best ask, basis points")
    is_best_bid: bool
    is_best_ask: bool


class ComparisonModel(BaseModel):
    """A symbol's quotes on all exchanges; only those that are live take part in the best."""

    symbol: str
    tick: str | None = Field(description="smallest step of prices, quote units")
    rows: list[RowModel]
    best_bid: str
    best_ask: str
    cross_bps: float | None = Field(description="best bid above best ask, before fees; negative without an overlap")


_STATES = ("live", "degraded", "stale", "starting", "down")  # best first


@router.get("/exchanges")
async def exchanges(service: Service) -> list[ExchangeModel]:
    """Return the exchanges with their feeds."""
    found: dict[str, list[FeedModel]] = {}
    for state in service.market.feeds():
        found.setdefault(state.exchange, []).append(FeedModel.model_validate(state))
    return [
        ExchangeModel(exchange=exchange, state=min((feed.state for feed in feeds), key=_STATES.index), feeds=feeds)
        for exchange, feeds in found.items()
    ]


@router.get("/feeds", response_model=list[FeedModel])
async def feeds(service: Service) -> Response:
    """Return the feeds with their state, latency, data age and frames per second."""
    return json_answer(service.market.feeds())


@router.get("/instruments", response_model=list[InstrumentChange])
async def instruments(
    service: Service,
    exchange: ExchangeFilter = None,
    symbol: PatternFilter = None,
    kind: Annotated[Literal["spot", "perp", "future", "option"] | None, Query(description="of this kind only")] = None,
) -> Response:
    """Return the instruments' definitions as of now: ticks, lots, contract sizes, status."""
    wanted = selected(service.market.instruments, exchange, symbol)
    found = [service.market.instruments[key] for key in wanted]
    return list_answer(each.definition_json for each in found if _is_listed(each, kind))


@router.get("/symbols")
async def symbols(service: Service) -> list[str]:
    """Return the symbols that have a quote."""
    return service.market.symbols()


@router.get(
    "/symbols/{symbol}/comparison", response_model=ComparisonModel, summary="Comparison of a symbol across exchanges"
)
async def comparison(service: Service, symbol: SymbolPath) -> Response:
    """Compare a symbol's best prices across exchanges."""
    return json_answer(service.market.comparison(known_symbol(service, symbol)))


def selected(keys: Any, exchange: str | None, symbol: str | None) -> list[tuple[str, str]]:
    """Return the keys of an exchange and a symbol or pattern, in order. Raise `SymbolError` for an unknown exchange."""
    name = known_exchange(exchange) if exchange else None
    selection = Selection([symbol.upper()]) if symbol else None
    return sorted(
        (each, other) for each, other in keys if name in (None, each) and (selection is None or other in selection)
    )


def _is_listed(instrument: Instrument, kind: str | None) -> bool:
    definition = instrument.definition
    return definition is not None and definition.type != "delisted" and kind in (None, definition.kind)
