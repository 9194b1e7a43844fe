"""Parse HTX's control messages, and reject invalid ones with HTX's error messages."""

from typing import Any

from schemas.json_object import json_object

_VERBS = ("sub", "unsub", "req")


class RequestError(Exception):
    """A rejected request; the message is that of HTX's answer."""


def parse_request(text: str) -> dict[str, Any]:
    """Return a control message as an object; raise `RequestError`."""
    request = json_object(text)
    if request is None:
        raise RequestError("not json string")
    return request


def verb_of(request: dict[str, Any]) -> str | None:
    """Return the request's verb, whose value is a topic; None if it has none."""
    return next((verb for verb in _VERBS if type(request.get(verb)) is str), None)


def invalid_topic(topic: str) -> RequestError:
    """Return the error for a topic that the path does not serve."""
    return RequestError(f"invalid topic {topic}")


def id_of(request: dict[str, Any]) -> dict[str, Any]:
    """Return the request's id as the answer repeats it; empty if it has none."""
    return {"id": request["id"]} if "id" in request else {}
