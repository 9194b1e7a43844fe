"""Past events of one table, page by page, from ClickHouse.

A page continues behind the place of the last event of the page before: its time of receipt, partition and offset. That
is unique, so that no event is left out or repeated, however many have the same time.
"""

import asyncio
from typing import Any, Literal, NamedTuple

from marketprism.api.queries import Queries
from marketprism.api.spans import HOUR, WITHIN, Span, span_of
from marketprism.api.stored_events import StoredEvents, stored_events
from schemas.events import Event

Order = Literal["asc", "desc"]

CURSOR = r"^(asc|desc)(\.[0-9]{1,16}){3}\.[0-9]{1,5}\.[0-9]{1,18}$"

_QUERY = """
SELECT {columns}, toUnixTimestamp64Micro(local_timestamp), _partition, _offset
FROM {table}
WHERE {conditions}
ORDER BY local_timestamp {order}, _partition {order}, _offset {order}
LIMIT {{limit:UInt32}}
"""
_BEHIND = {  # the time also on its own, as the index serves no tuples
    "asc": """local_timestamp >= fromUnixTimestamp64Micro({time:Int64}, 'UTC')
    AND (local_timestamp, _partition, _offset)
        > (fromUnixTimestamp64Micro({time:Int64}, 'UTC'), {partition:UInt32}, {offset:UInt64})""",
    "desc": """local_timestamp <= fromUnixTimestamp64Micro({time:Int64}, 'UTC')
    AND (local_timestamp, _partition, _offset)
        < (fromUnixTimestamp64Micro({time:Int64}, 'UTC'), {partition:UInt32}, {offset:UInt64})""",
}


class Place(NamedTuple):
    """Where a page ends: receipt of its last event in µs, and the event's place in the topic."""

    time: int
    partition: int
    offset: int


class Walk(NamedTuple):
    """What the pages of one walk have in common, and the place behind which the next one begins."""

    order: Order
    span: Span
    place: Place | None = None

    def cursor(self, place: Place) -> str:
        """Return the text with which a client asks for the page behind a place."""
        return ".".join(map(str, (self.order, *self.span, *place)))


def walk_of(cursor: str | None, order: Order, start: str | None, end: str | None) -> Walk:
    """Return the walk of a cursor, which matches `CURSOR`, or else a new one. Raise 422 for a span that is none."""
    span = span_of(start, end, HOUR)
    if cursor is None:
        return Walk(order, span)
    first, last, *place = map(int, cursor.split(".")[1:])
    return Walk("asc" if cursor.startswith("asc") else "desc", Span(first, last), Place(*place))


class Filter(NamedTuple):
    """Which events are wanted; None: all."""

    exchange: str | None = None
    symbol: str | None = None
    type: str | None = None


async def page_of(queries: Queries, model: type[Event], walk: Walk, limit: int, wanted: Filter) -> dict[str, Any]:
    """Return the next `limit` events of a walk, and the cursor of those behind them."""
    stored = stored_events(model)
    query = _query(model.table_name, stored, walk, wanted)
    given = {"limit": limit + 1, "start": walk.span.start, "end": walk.span.end, **wanted._asdict()}
    given |= walk.place._asdict() if walk.place else {}
    rows = await queries.lists(query, {name: str(value) for name, value in given.items() if value is not None})
    items = await asyncio.to_thread(lambda: [stored.event(row) for row in rows[:limit]])
    has_more = len(rows) > limit
    return {"items": items, "next": walk.cursor(Place(*rows[limit - 1][-3:])) if has_more else None}


def _query(table: str, stored: StoredEvents, walk: Walk, wanted: Filter) -> str:
    conditions = [WITHIN]
    if wanted.exchange:
        conditions.append("(" + " OR ".join(f"{name} = {{exchange:String}}" for name in stored.exchanges) + ")")
    if wanted.symbol:
        conditions.append("symbol = {symbol:String}")
    if wanted.type:
        conditions.append("type = {type:String}")
    if walk.place:
        conditions.append(_BEHIND[walk.order])
    return _QUERY.format(
        columns=stored.columns, table=table, conditions="\n    AND ".join(conditions), order=walk.order.upper()
    )
