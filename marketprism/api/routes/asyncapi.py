"""The AsyncAPI document of the WebSocket: its messages and its channels, with the JSON Schemas of the events."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from marketprism.api.routes.exchanges import ComparisonModel, FeedModel
from marketprism.api.routes.stream_models import (
    LISTS,
    ORDER_BOOKS,
    VALUES,
    BookValue,
    Changes,
    Heartbeat,
    Rejected,
    Request,
    Subscribed,
)
from schemas.events import EVENTS

_REFERENCE = "#/components/schemas/{model}"
_BY_TABLE = {event.table_name: event for event in EVENTS.values()}
_DESCRIPTION = (
    "Send a request with patterns of channels. Each channel that matches is sent whole, as a `snapshot`, and then with "
    "each `change`, in at most 20 frames a second. A channel's `sequence` grows by one with each event: a hole means "
    "that only the latest value was sent. Of items none is left out, except for a client that is too slow: `skipped` "
    "counts them. A client that takes nothing for 30 s is disconnected with code 1013 and the reason."
)


def asyncapi() -> dict[str, Any]:
    """Return the document, version 3.0."""
    _, definitions = models_json_schema([(model, "serialization") for model in _models()], ref_template=_REFERENCE)
    sent = {model.__name__: _message(model) for model in (Changes, Subscribed, Rejected, Heartbeat)}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "MarketPrism", "version": "1", "description": _DESCRIPTION},
        "defaultContentType": "application/json",
        "channels": {
            "stream": {
                "address": "/stream",
                "description": _channels(),
                "messages": sent | {"Request": _message(Request)},
            }
        },
        "operations": {
            "receive": _operation("send", list(sent)),
            "subscribe": _operation("receive", ["Request"]),
        },
        "components": {"schemas": definitions["$defs"]},
    }


def _models() -> list[type[BaseModel]]:
    events: list[type[BaseModel]] = [_BY_TABLE[table] for table in (*VALUES, *LISTS)]
    return [*events, Request, Changes, Subscribed, Rejected, Heartbeat, BookValue, FeedModel, ComparisonModel]


def _message(model: type[BaseModel]) -> dict[str, Any]:
    return {
        "title": model.__name__,
        "summary": (model.__doc__ or "").strip(),
        "payload": {"$ref": _REFERENCE.format(model=model.__name__)},
    }


def _operation(action: str, messages: list[str]) -> dict[str, Any]:
    channel = "#/channels/stream"
    references = [{"$ref": f"{channel}/messages/{name}"} for name in messages]
    return {"action": action, "channel": {"$ref": channel}, "messages": references}


def _channels() -> str:
    """Return the table of channels, as Markdown."""
    rows = [f"| `{name}` | {meaning} | {data} |" for name, meaning, data in _rows()]
    return "\n".join(["| channel | holds | data |", "| --- | --- | --- |", *rows])


def _rows() -> list[tuple[str, str, str]]:
    values = [
        (f"{table}:{name}", _BY_TABLE[table].meaning, _BY_TABLE[table].__name__) for table, name in VALUES.items()
    ]
    lists = [
        (f"{table}:{name}", _BY_TABLE[table].meaning, f"list of {_BY_TABLE[table].__name__}")
        for table, name in LISTS.items()
    ]
    books = [(f"{name}:SYMBOL:EXCHANGE", meaning, BookValue.__name__) for name, meaning in ORDER_BOOKS.items()]
    return [
        *books,
        ("compare:SYMBOL", "a symbol's best prices on all exchanges", ComparisonModel.__name__),
        ("feeds:*:EXCHANGE:FEED", "state, latency and age of a feed", FeedModel.__name__),
        *values,
        *lists,
    ]
