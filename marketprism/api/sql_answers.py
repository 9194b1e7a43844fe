"""Answer the SQL of users: what the read-only connections allow, and not more rows than a client can show."""

import re
import time
from collections.abc import Callable
from typing import Any

from marketprism.api.problems import RequestProblem
from marketprism.api.queries import Queries
from schemas.errors import StorageError

MOST_ROWS = 1_000
MOST_CSV_ROWS = 100_000

# Literals and quoted names (kept), and comments. What does not end goes on to the end of the text.
_TOKEN = re.compile(
    r"""('(?:[^'\\]|\\(?:.|\Z))*(?:'|\Z) | "(?:[^"\\]|\\(?:.|\Z))*(?:"|\Z) | `(?:[^`\\]|\\(?:.|\Z))*(?:`|\Z)
    | \$(\w*)\$.*?(?:\$\2\$|\Z)) | --[^\n]* | \#[!\ ][^\n]* | /\*.*?(?:\*/|\Z)""",
    re.DOTALL | re.VERBOSE,
)
_SELECT = re.compile(r"[\s(]*(?:SELECT|WITH|FROM)\b", re.IGNORECASE)
_FORMAT = re.compile(r"\bFORMAT\s+\w+$", re.IGNORECASE)
_LIMITED = "SELECT * FROM (\n{}\n) LIMIT {}"

_CODE = re.compile(r"Code: (\d+)\.")
_SYNTAX_ERROR = 62
_FAULTS = frozenset({49, 202, 209, 210, 243, 394, 999, 1000, 1001, 1002})  # ClickHouse's own, not the query's

_WRAPPED = re.compile(r"(?:Nullable|LowCardinality)\((.*)\)")
_SAFE = 2**53 - 1  # beyond it, JavaScript rounds integers
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "0": "\0"}


async def answer_json(queries: Queries, query: str) -> dict[str, Any]:
    """Return columns and rows, at most `MOST_ROWS`. Raise 400 with ClickHouse's words if the query fails."""
    begin = time.perf_counter()
    result = await _run(queries, query, "TabSeparatedWithNamesAndTypes", MOST_ROWS + 1)
    seconds = time.perf_counter() - begin
    names, types, *lines = [line.split("\t") for line in result.decode(errors="replace").split("\n")[:-1]] or [[], []]
    converters = [_converter(_text(kind)) for kind in types]
    return {
        "columns": [{"name": _text(name), "type": _text(kind)} for name, kind in zip(names, types, strict=True)],
        "rows": [[convert(cell) for convert, cell in zip(converters, line, strict=True)] for line in lines[:MOST_ROWS]],
        "truncated": len(lines) > MOST_ROWS,
        "seconds": round(seconds, 6),
    }


async def answer_csv(queries: Queries, query: str) -> bytes:
    """Return the rows as CSV with a header. Raise 400 if there are more than `MOST_CSV_ROWS`."""
    result = await _run(queries, query, "CSVWithNames", MOST_CSV_ROWS + 1)
    if result.count(b"\n") > MOST_CSV_ROWS + 1 and _records(result) > MOST_CSV_ROWS + 1:
        raise RequestProblem(
            400, f"the result has more than {MOST_CSV_ROWS:,} rows: ask for less, or use `marketprism sql` or `export`"
        )
    return result


def _records(csv: bytes) -> int:
    """Return the number of records. Newlines within quotes are not their ends."""
    return sum(outside.count(b"\n") for outside in csv.split(b'"')[::2])


async def _run(queries: Queries, query: str, output_format: str, most: int) -> bytes:
    text = _TOKEN.sub(lambda token: token[1] or " ", query).strip("; \t\r\n")
    if not text:
        raise RequestProblem(400, "the query is empty")
    try:
        if _SELECT.match(text):
            try:
                return await queries.run(_LIMITED.format(text, most), output_format=output_format)
            except StorageError as error:
                if _code(error) != _SYNTAX_ERROR:
                    raise
        # Not a SELECT, or malformed: the error of the user's own text names places in it.
        if _FORMAT.search(_TOKEN.sub(lambda token: "''" if token[1] else " ", text)):
            raise RequestProblem(400, "leave out FORMAT: the answer is JSON, or CSV with ?format=csv")
        return await queries.run(query, output_format=output_format)
    except StorageError as error:
        if _code(error) in _FAULTS | {0}:
            raise
        raise RequestProblem(400, str(error)) from None


def _code(error: StorageError) -> int:
    """Return ClickHouse's code of an error, 0 if it did not answer."""
    found = _CODE.match(str(error))
    return int(found[1]) if found else 0


def _converter(kind: str) -> Callable[[str], Any]:
    """Return what converts a type's cells to values for JSON."""
    while wrapped := _WRAPPED.fullmatch(kind):
        kind = wrapped[1]
    if re.fullmatch(r"U?Int\d+", kind):
        return _nullable(_integer)
    if re.fullmatch(r"B?Float\d+", kind):
        return _nullable(_float)
    return _nullable("true".__eq__) if kind == "Bool" else _nullable(_text)


def _nullable(convert: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda cell: None if cell == "\\N" else convert(cell)


def _integer(cell: str) -> int | str:
    number = int(cell)
    return number if -_SAFE <= number <= _SAFE else cell


def _float(cell: str) -> float | None:
    number = float(cell)
    return number if number - number == 0 else None  # not infinite, and a number


def _text(cell: str) -> str:
    return _ESCAPED.sub(lambda found: _CONTROLS.get(found[1], found[1]), cell) if "\\" in cell else cell
