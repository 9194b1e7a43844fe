"""SQL of users, read-only, and ready-made questions."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from marketprism.api.answers import json_answer
from marketprism.api.context import Service
from marketprism.api.questions import questions
from marketprism.api.sql_answers import MOST_CSV_ROWS, MOST_ROWS, answer_csv, answer_json

router = APIRouter(prefix="/api", tags=["SQL"])

_MAX_QUERY = 5_000  # characters; escaped in JSON, 12 bytes each, they still fit in a body
_CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}


class SqlRequest(BaseModel):
    """A query."""

    query: str = Field(min_length=1, max_length=_MAX_QUERY, description="one statement of ClickHouse's SQL that reads")


class Column(BaseModel):
    """Name and ClickHouse type of a column."""

    name: str
    type: str


class SqlAnswer(BaseModel):
    """The result of a query."""

    columns: list[Column]
    rows: list[list[bool | int | float | str | None]] = Field(
        description="decimals, integers beyond 2^53, times, arrays and tuples are strings; NULL, NaN and infinity null"
    )
    truncated: bool = Field(description=f"there are more than these {MOST_ROWS:,} rows")
    seconds: float = Field(description="that ClickHouse took")


class ReadyMadeQuestion(BaseModel):
    """A question, and the query that answers it."""

    title: str
    question: str
    query: str


@router.post(
    "/sql",
    response_model=SqlAnswer,
    responses=_CSV,
    description=(
        f"Run a query, for at most a minute: `json` returns up to {MOST_ROWS:,} rows, `csv` a file of up to "
        f"{MOST_CSV_ROWS:,}. A query that ClickHouse refuses is answered with 400 and its words."
    ),
    summary="Run a SQL query",
)
async def sql(
    service: Service,
    request: SqlRequest,
    format: Annotated[Literal["json", "csv"], Query(description="of the answer")] = "json",
) -> Response:
    if format == "json":
        return json_answer(await answer_json(service.sql, request.query))
    headers = {"Content-Disposition": 'attachment; filename="marketprism.csv"'}
    return Response(await answer_csv(service.sql, request.query), headers=headers, media_type="text/csv")


@router.get("/sql/questions", response_model=list[ReadyMadeQuestion], summary="Ready-made questions")
async def ready_made() -> Response:
    """Return questions that analysts ask, each with a query to run as it is."""
    return json_answer([question._asdict() for question in questions()])
