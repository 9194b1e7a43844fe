"""Answers of routes: JSON that is made once, and 304 for what the client has already."""

from collections.abc import Iterable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

_encode = msgspec.json.Encoder().encode


def json_answer(body: Any) -> Response:
    """Return an answer of this value; bytes are JSON already."""
    return Response(body if isinstance(body, bytes) else _encode(body), media_type="application/json")


def list_answer(items: Iterable[bytes]) -> Response:
    """Return an answer of a list whose items are JSON already."""
    return json_answer(b"[" + b",".join(items) + b"]")


def not_modified(request: Request, version: str) -> Response | None:
    """Return 304 if the client already has this version of what it asks for."""
    tags = [tag.strip() for tag in request.headers.get("if-none-match", "").split(",")]
    return Response(status_code=304, headers={"ETag": tag_of(version)}) if tag_of(version) in tags else None


def tag_of(version: str) -> str:
    """Return the ETag of a version. It is a weak one: ages in the body may differ."""
    return f'W/"{version}"'
