"""The latest events of each table, as the topics have them."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated

import orjson
from fastapi import APIRouter, Query
from starlette.responses import Response

from marketprism.api.answers import list_answer
from marketprism.api.context import Context, Service
from marketprism.api.lookup import known_exchange
from marketprism.api.routes.parameters import ExchangeFilter, PatternFilter
from schemas.events import EVENTS, Event
from schemas.symbols import Selection

router = APIRouter(prefix="/api", tags=["latest events"])

_OWN_ROUTES = ("books", "instruments")


def _route(table: str) -> Callable[..., Awaitable[Response]]:
    async def latest(
        service: Service,
        exchange: ExchangeFilter = None,
        symbol: PatternFilter = None,
        limit: Annotated[int, Query(ge=1, le=100, description="events of each instrument, the newest ones")] = 20,
    ) -> Response:
        name = known_exchange(exchange) if exchange else None
        return list_answer(_latest(service, table, name, Selection([symbol.upper() if symbol else "*"]), limit))

    return latest


def _latest(service: Context, table: str, exchange: str | None, symbols: Selection, limit: int) -> Iterator[bytes]:
    for channel, events in service.market.latest(table):
        _, symbol, *place = channel.split(":")
        if symbol in symbols and (exchange is None or not place or place[0] == exchange):
            yield from [each for each in events if place or _is_of(each, exchange)][-limit:]


def _is_of(signal: bytes, exchange: str | None) -> bool:
    """Whether a signal, whose channel has no exchange, buys or sells on this one."""
    if exchange is None:
        return True
    event = orjson.loads(signal)
    return exchange in (event["buy"]["exchange"], event["sell"]["exchange"])


def _add(model: type[Event]) -> None:
    router.add_api_route(
        f"/{model.table_name}",
        _route(model.table_name),
        response_model=list[model],  # type: ignore[valid-type]
        name=model.table_name,
        summary=f"Latest {model.table_name}",
        description=f"Return the latest events ({model.meaning}) of each instrument, newest last.",
    )


for _model in EVENTS.values():
    if _model.table_name not in _OWN_ROUTES:
        _add(_model)
