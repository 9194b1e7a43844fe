"""Candles of any interval."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from marketprism.api.answers import json_answer
from marketprism.api.candles import INTERVAL, Origin, Wanted, candles, parse_interval
from marketprism.api.context import Service
from marketprism.api.lookup import instrument_of, known_exchange
from marketprism.api.routes.parameters import ExchangePath, FromTime, SymbolPath, ToTime
from marketprism.api.spans import span_of
from schemas.fields import PlainDecimal

router = APIRouter(prefix="/api", tags=["history"])


class CandleItem(BaseModel):
    """The trades of one interval."""

    start: int = Field(description="its first instant, microseconds")
    end: int = Field(description="the start of the next one, microseconds")
    open: PlainDecimal
    high: PlainDecimal
    low: PlainDecimal
    close: PlainDecimal
    volume: PlainDecimal | None = Field(description="base units; null: the exchange does not publish it")
    closed: bool = Field(description="no further change follows; of trades: its end has passed")


class CandlesAnswer(BaseModel):
    """Candles, ascending."""

    exchange: str
    symbol: str
    interval: str
    origin: Origin = Field(description="exchange: its own candles; trades: made of its trades on the book")
    items: list[CandleItem]


@router.get("/candles/{exchange}/{symbol}", response_model=CandlesAnswer, summary="Candles of any interval")
async def candles_of(
    service: Service,
    exchange: ExchangePath,
    symbol: SymbolPath,
    interval: Annotated[
        str, Query(max_length=5, pattern=INTERVAL, description="90s, 7m, 2h, 1d, …; 1w, 1M, 3M and 1y: the exchange's")
    ] = "1m",
    start: FromTime = None,
    end: ToTime = None,
    limit: Annotated[int, Query(ge=1, le=1500, description="the newest ones")] = 300,
    origin: Annotated[
        Origin | None, Query(description="by default the exchange's, and of trades where it has none")
    ] = None,
) -> Response:
    """Return the candles that begin between `from` and `to`: by default the last `limit` intervals until now."""
    parsed = parse_interval(interval)
    span = span_of(start, end, limit * parsed.span)
    wanted = Wanted(known_exchange(exchange), symbol.upper(), span, limit)
    source, found = await candles(service.queries, wanted, parsed, origin)
    if not found:
        instrument_of(service, wanted.exchange, wanted.symbol)  # which says so if there is no such instrument
    head = {"exchange": wanted.exchange, "symbol": wanted.symbol, "interval": interval, "origin": source}
    return json_answer({**head, "items": found})
