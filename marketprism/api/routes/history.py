"""Past events of each table, from ClickHouse."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Generic, TypeVar

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from marketprism.api.answers import json_answer
from marketprism.api.context import Service
from marketprism.api.history import CURSOR, Filter, Order, page_of, walk_of
from marketprism.api.lookup import known_exchange
from marketprism.api.problems import RequestProblem
from marketprism.api.routes.parameters import ExchangeFilter, FromTime, SymbolFilter, ToTime
from schemas.events import EVENTS, Event

router = APIRouter(prefix="/api", tags=["history"])

E = TypeVar("E", bound=Event)


class Page(BaseModel, Generic[E]):
    """One page of events."""

    items: list[E]
    next: str | None = Field(description="`cursor` of the next page; null: this is the last one")


def _route(model: type[Event]) -> Callable[..., Awaitable[Response]]:
    async def history(
        service: Service,
        exchange: ExchangeFilter = None,
        symbol: SymbolFilter = None,
        start: FromTime = None,
        end: ToTime = None,
        type: Annotated[
            str | None, Query(max_length=20, description="of this type only, where the events have one: settled, …")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=1000, description="events on a page")] = 100,
        order: Annotated[Order, Query(description="by time of receipt")] = "asc",
        cursor: Annotated[
            str | None,
            Query(max_length=100, pattern=CURSOR, description="`next` of the page before, with its `from` and `to`"),
        ] = None,
    ) -> Response:
        walk = walk_of(cursor, order, start, end)
        if type is not None and "type" not in model.model_fields:
            raise RequestProblem(422, f"events of {model.table_name} have no type")
        wanted = Filter(known_exchange(exchange) if exchange else None, symbol and symbol.upper(), type)
        return json_answer(await page_of(service.queries, model, walk, limit, wanted))

    return history


for _model in EVENTS.values():
    router.add_api_route(
        f"/{_model.table_name}/history",
        _route(_model),
        response_model=Page[_model],  # type: ignore[valid-type]
        name=f"{_model.table_name} history",
        summary=f"Past events of {_model.table_name}",
        description=(
            f"Return stored events ({_model.meaning}) by their time of receipt, by default those of the last hour. "
            "A walk from page to page neither leaves out nor repeats any. Decimals come without zeros at their end."
        ),
    )
