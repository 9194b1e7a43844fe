"""Arbitrage opportunities: those that are open, and figures of those that have closed."""

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import Response

from marketprism.api.answers import json_answer, list_answer
from marketprism.api.context import Service
from marketprism.api.routes.parameters import Hours, SymbolFilter
from marketprism.api.signal_statistics import signal_statistics
from marketprism.api.spans import last_hours
from schemas.events.signals import Signal
from schemas.fields import SignedDecimal

router = APIRouter(prefix="/api", tags=["signals"])


class LifetimeBar(BaseModel):
    """How many lasted from `from_us` to less than `to_us`."""

    from_us: int
    to_us: int | None = Field(description="null: and longer")
    count: int


class HourBar(BaseModel):
    """What closed in one hour."""

    start: int = Field(description="microseconds")
    count: int
    profit: SignedDecimal = Field(description="quote units after fees")


class Route(BaseModel):
    """Where to buy, and where to sell."""

    buy_exchange: str
    sell_exchange: str
    symbol: str
    count: int
    profit: SignedDecimal = Field(description="quote units after fees")
    lifetime_median: int = Field(description="microseconds")


class SignalStatistics(BaseModel):
    """Figures of the opportunities that have closed; each counts with its highest profit."""

    opportunities: int
    profit: SignedDecimal = Field(description="quote units after fees")
    lifetimes: list[LifetimeBar]
    hours: list[HourBar] = Field(description="every hour, by when they closed")
    routes: list[Route] = Field(description="the 200 with the highest profit")


@router.get("/signals/open", response_model=list[Signal], summary="Open opportunities")
async def open_signals(service: Service) -> Response:
    """Return the opportunities that are open now, each with its newest event."""
    return list_answer(service.market.all_open("signals"))


@router.get("/signals/statistics", response_model=SignalStatistics, summary="Statistics of opportunities")
async def statistics(service: Service, hours: Hours = 24, symbol: SymbolFilter = None) -> Response:
    """Return what the opportunities of the last hours were worth, and how long they lasted, from ClickHouse."""
    return json_answer(await signal_statistics(service.queries, last_hours(hours), (symbol or "").upper()))
