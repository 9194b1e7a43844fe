"""The OpenAPI document: what FastAPI derives from the routes, and the problems that every route may answer with."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from marketprism.api.problems import Problem, documented

_DESCRIPTION = (
    "Order books, latest events and history of every exchange, read from the topics and from ClickHouse. "
    "Prices and amounts are decimal strings; times are microseconds since the epoch, UTC. "
    "Errors are `application/problem+json`."
)
_ANYWHERE = (400, 401, 403, 404, 413, 422, 429, 503)


def documented_api(app: FastAPI) -> dict[str, Any]:
    """Return the document; it is made once."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version="1", description=_DESCRIPTION, routes=app.routes)
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = Problem.model_json_schema()
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        for path in document["paths"].values():
            for operation in path.values():
                responses = operation["responses"]
                for status, response in documented(*_ANYWHERE).items():
                    responses[str(status)] = response
        app.openapi_schema = document
    return app.openapi_schema
