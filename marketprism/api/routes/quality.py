"""The quality of the data over time."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from marketprism.api.answers import json_answer
from marketprism.api.context import Context, Service
from marketprism.api.quality_map import quality_map
from marketprism.api.routes.parameters import Hours
from marketprism.api.scores import hourly_scores
from marketprism.api.spans import Span, last_hours
from marketprism.ops.quality import Score
from schemas.events.health import Gap

router = APIRouter(prefix="/api", tags=["quality"])


class MapCell(BaseModel):
    """What a feed's channel delivered in one step of time, and what was missing."""

    messages: int
    max_age: int = Field(description="longest time since the last message, of any instrument, microseconds")
    gaps: int = Field(description="gaps that began")
    gap_time: int = Field(description="within gaps, summed over instruments, microseconds")
    differed: int = Field(description="comparisons in which the book's top was not the exchange's BBO")
    silent: int = Field(description="instruments whose channel fell silent")


class MapRow(BaseModel):
    """One channel of one feed."""

    feed: str
    channel: str
    cells: list[MapCell | None] = Field(description="null: nothing was reported")


class SilentChannel(BaseModel):
    """A channel that is silent now."""

    feed: str
    channel: str = Field(description="channel:symbol")


class InstrumentTruth(BaseModel):
    """Comparisons of a book's top with the exchange's BBO."""

    exchange: str
    symbol: str
    compared: int
    agreed: int
    differed: int


class QualityMap(BaseModel):
    """The quality of the data in a span of time, and what is wrong now."""

    start: int = Field(description="microseconds")
    end: int = Field(description="microseconds")
    step: int = Field(description="time of one cell, microseconds")
    rows: list[MapRow]
    gaps: list[Gap] = Field(description="open now")
    silent: list[SilentChannel]
    truth: list[InstrumentTruth] = Field(description="in the span, those that differ most first")


class Scores(BaseModel):
    """The quality of each instrument's data by hour of receipt."""

    start: int = Field(description="begin of the first hour, microseconds")
    end: int = Field(description="microseconds; the last hour is measured until then")
    rows: list[Score] = Field(description="by hour, exchange and symbol; null: not known or not ingested")


@router.get("/quality/map", response_model=QualityMap, summary="Quality map")
async def heat_map(
    service: Service,
    hours: Hours = 1,
    columns: Annotated[int, Query(ge=1, le=200, description="cells of each row")] = 60,
) -> Response:
    """Return what the feeds delivered in the last hours, from ClickHouse, and what is open or silent now."""
    start, end = last_hours(hours)
    found = await quality_map(service.queries, Span(start + (end - start) % columns, end), columns)
    return json_answer({**found, "gaps": _open_gaps(service), "silent": _silent(service)})


@router.get("/quality/scores", response_model=Scores, summary="Scores by hour")
async def scores(
    service: Service, hours: Annotated[int, Query(ge=1, le=48, description="this one and those before")] = 24
) -> Response:
    """Return how good the data of each instrument was in the last hours, from ClickHouse (docs/quality.md)."""
    return json_answer(await hourly_scores(service.queries, hours))


def _open_gaps(service: Context) -> list[msgspec.Raw]:
    return [msgspec.Raw(gap) for gap in service.market.all_open("gaps")]


def _silent(service: Context) -> list[dict[str, str]]:
    return [{"feed": state.feed, "channel": channel} for state in service.market.feeds() for channel in state.silent]
