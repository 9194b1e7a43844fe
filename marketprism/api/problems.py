"""Errors of requests as `application/problem+json` (RFC 9457)."""

from http import HTTPStatus
from typing import Annotated, Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from schemas.errors import MarketPrismError, StorageError, SymbolError

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """What is wrong with a request, or with the service."""

    type: Annotated[str, Field(description="identifies the kind of problem")] = "about:blank"
    title: str = Field(description="the kind of problem in a few words")
    status: int = Field(description="the HTTP status")
    detail: str = Field(description="what is wrong, and what to do")


class RequestProblem(MarketPrismError):
    """A request that is answered with a problem."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.headers = status, headers or {}


def warming(what: str) -> RequestProblem:
    """Return the problem of what is not known yet, and will be soon."""
    return RequestProblem(503, f"warming: {what} is not known yet; try again within a minute", {"Retry-After": "5"})


def problem_response(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """Return the response of a problem."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail)
    return Response(orjson.dumps(body.model_dump()), status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Let the app answer with problems."""

    @app.exception_handler(RequestProblem)
    async def on_problem(request: Request, error: RequestProblem) -> Response:
        return problem_response(error.status, str(error), error.headers)

    @app.exception_handler(SymbolError)
    async def on_symbol(request: Request, error: SymbolError) -> Response:
        return problem_response(404, str(error))

    @app.exception_handler(StorageError)
    async def on_storage(request: Request, error: StorageError) -> Response:
        return problem_response(503, str(error), {"Retry-After": "5"})

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> Response:
        return problem_response(422, "; ".join(map(_invalid, error.errors())))

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> Response:
        return problem_response(error.status_code, str(error.detail), dict(error.headers or {}))


def _invalid(item: dict[str, Any]) -> str:
    place = ".".join(str(part) for part in item["loc"][1:])  # the first says whether it is in the path, query or body
    return f"{place}: {item['msg']}" if place else str(item["msg"])


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that may answer with these problems."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}
