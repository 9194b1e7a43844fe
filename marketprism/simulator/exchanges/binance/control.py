"""Parse Binance's control messages and REST parameters, and reject invalid ones with Binance's error codes."""

from typing import Any

import orjson
from aiohttp import web

from marketprism.simulator.server.connection import Connection

_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")


class ControlError(Exception):
    """An invalid control message, with the code of Binance's answer."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def parse_request(text: str) -> dict[str, Any]:
    """Return a control message as an object with a known method and a valid id; raise `ControlError`."""
    try:
        request = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ControlError(3, f"Invalid JSON: {error}") from None
    if not isinstance(request, dict) or "method" not in request:
        raise ControlError(2, "Invalid request: missing field `method`")
    request_id = request.get("id")
    if isinstance(request_id, bool) or not (
        request_id is None or isinstance(request_id, int) or _is_text_id(request_id)
    ):
        raise ControlError(2, "Invalid request: request ID must be an integer, a string of 36 characters or null")
    if request["method"] not in _METHODS:
        raise ControlError(
            2, f"Invalid request: unknown variant `{request['method']}`, expected one of {', '.join(_METHODS)}"
        )
    return request


def _is_text_id(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 36


def combined_property(connection: Connection, method: str, params: list[Any]) -> bool | None:
    """Get or set whether a connection's frames are combined; raise `ControlError` for other properties and types."""
    if not isinstance(params[0], str):
        raise ControlError(2, "Invalid request: property name must be a string")
    if params[0] != "combined":
        raise ControlError(0, "Unknown property")
    if method == "GET_PROPERTY":
        return connection.combined
    if len(params) != 2 or not isinstance(params[1], bool):
        raise ControlError(1, "Invalid value type: expected Boolean")
    connection.combined = params[1]
    return None


def requested_symbols(request: web.Request) -> list[str] | None:
    """Return the symbols that an exchangeInfo request names; None means all."""
    if "symbol" in request.query:
        return [request.query["symbol"]]
    if "symbols" not in request.query:
        return None
    try:
        names = orjson.loads(request.query["symbols"])
    except orjson.JSONDecodeError:
        return [""]
    return [str(name) for name in names] if isinstance(names, list) else [""]
