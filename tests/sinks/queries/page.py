"""The queries of docs/queries.md, as the page has them, run by a read-only client at a time that the test sets."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest

from marketprism.api.questions import questions
from sinks.sql.read_only import ReadOnlyConnection
from sinks.storage.base import Block
from sinks.storage.embedded import EmbeddedStorage
from tests.sinks.queries.exact import Data
from tests.sinks.queries.registry import Answer

BOOK = (  # of an exchange, a symbol and a time in µs
    "SELECT side, level, price, amount FROM book_at(exchange = '{}', symbol = '{}', "
    "at = fromUnixTimestamp64Micro({}, 'UTC')) ORDER BY side, level"
)
_NOW = re.compile(r"now(?:64)?\([^)]*\)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BLOCK = 10_000
_IRRATIONAL = {"Realised volatility", "Lead and lag"}  # in the last column


def queries() -> dict[str, str]:
    """Return the page's queries by heading, in order."""
    return {question.title: question.query for question in questions()}


def store(storage: EmbeddedStorage, data: Data) -> None:
    """Insert the events of each table as the sink does. All are of one day, and an event's index is its offset."""
    for table, rows in data.items():
        for first in range(0, len(rows), _BLOCK):
            values = [orjson.dumps(row) for row in rows[first : first + _BLOCK]]
            block = Block(0, values, list(range(first, first + len(values))))
            rejection = storage.insert(f"prism.{table}", block, block.token(table))
            assert rejection is None, rejection


def at(now: int, sql: str) -> str:
    """Return a query as it is asked at a time, in µs."""
    return _NOW.sub(f"fromUnixTimestamp64Micro({now}, 'UTC')", sql)


def ask(reader: ReadOnlyConnection, sql: str) -> Answer:
    """Return a query's rows: decimals exact, times as µs since the epoch."""
    answer = reader.run(sql, "TabSeparatedWithNamesAndTypes").decode()
    _, kinds, *rows = (line.split("\t") for line in answer.splitlines())
    return [tuple(_value(text, kind) for text, kind in zip(row, kinds, strict=True)) for row in rows]


def _value(text: str, kind: str) -> Any:
    kind = re.sub(r"^(?:Nullable|LowCardinality)\((.*)\)$", r"\1", kind.replace("\\'", "'"))
    if text == "\\N":
        return None
    if kind.startswith("Decimal"):
        return Decimal(text)
    if kind.startswith("DateTime"):
        return (datetime.fromisoformat(f"{text}+00:00") - _EPOCH) // datetime.resolution
    if kind.startswith(("Int", "UInt")):
        return int(text)
    if kind == "Bool":
        return text == "true"
    return float(text) if kind == "Float64" else text


def compare(heading: str, actual: Answer, expected: Answer) -> None:
    """Compare all columns exactly, but an irrational one."""
    if heading in _IRRATIONAL:
        last = [pytest.approx(row[-1], rel=1e-9) for row in expected]
        assert [row[-1] for row in actual] == last
        actual, expected = [row[:-1] for row in actual], [row[:-1] for row in expected]
    assert actual == expected
