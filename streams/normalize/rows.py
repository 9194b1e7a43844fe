"""Read frames of several rows, so that a malformed row costs only itself, and say in words why it is malformed."""

import re
from collections.abc import Callable
from itertools import count
from typing import Any, TypeVar

import msgspec
import orjson
from msgspec import Raw

from schemas.errors import MarketPrismError
from streams.normalize.messages import Normalized, Rejected

_NOT_JSON = (orjson.JSONDecodeError, msgspec.DecodeError, UnicodeError)
UNREADABLE = (
    MarketPrismError, RecursionError, KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError,
    *_NOT_JSON,
)  # fmt: skip
"""Errors that reading a malformed frame or row may raise."""

_LONGEST_REASON = 300  # characters: reasons quote what they reject
_MOST = 100  # dead letters of one frame: it may have hundreds of thousands of rows

_MISSING = re.compile(r"Object missing required field `(\w+)`")

_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_rows = msgspec.json.Decoder(list[Raw]).decode
C = TypeVar("C")


def reason_of(error: Exception) -> str:
    """Return the reason for a dead letter, given the error that reading it raised."""
    return _reason(error)[:_LONGEST_REASON]


def _reason(error: Exception) -> str:
    if isinstance(error, MarketPrismError):
        return str(error)
    if isinstance(error, KeyError):
        return f"missing field {error.args[0]!r}"
    if isinstance(error, msgspec.ValidationError):
        missing = _MISSING.match(str(error))
        return f"missing field {missing[1]!r}" if missing else f"malformed: {error}"
    if isinstance(error, _NOT_JSON):
        return f"not JSON: {error}"
    if isinstance(error, RecursionError):
        return "not JSON: nested too deeply"
    if isinstance(error, IndexError):
        return "malformed: a level or list is too short"
    if isinstance(error, TypeError | AttributeError):
        return "malformed: a value of the wrong type"
    if isinstance(error, ArithmeticError):
        return "malformed: a number out of range"
    return "malformed: a list of the wrong length" if "to unpack" in str(error) else "malformed: not a number"


def read_rows(
    read: Callable[[Any, C], Normalized], rows: list[Any], context: C, frame: bytes, *path: str
) -> list[Normalized]:
    """Read each row. If there are several, a malformed one becomes a `Rejected`.

    `path` leads to the rows in the frame. If no row is good, the frame is malformed: raise the first row's error.
    """
    try:
        return [read(row, context) for row in rows]
    except UNREADABLE:
        if len(rows) < 2:
            raise
        events = _one_by_one(read, rows, context, _raw_rows(frame, path))
        if all(type(event) is Rejected for event in events):
            raise
    return events


def _one_by_one(
    read: Callable[[Any, C], Normalized], rows: list[Any], context: C, texts: list[Raw]
) -> list[Normalized]:
    events: list[Normalized] = []
    rejected = 0
    for number, row, text in zip(count(1), rows, texts, strict=False):
        try:
            events.append(read(row, context))
        except UNREADABLE as error:
            rejected += 1
            if rejected <= _MOST:
                events.append(Rejected(f"row {number} of {len(rows)}: {reason_of(error)}", bytes(text)))
    if rejected > _MOST:
        events.append(Rejected(f"{rejected - _MOST} more of {len(rows)} rows rejected", b""))
    return events


def _raw_rows(frame: bytes, path: tuple[str, ...]) -> list[Raw]:
    """Return the rows as they were received."""
    for name in path:
        frame = bytes(_fields(frame)[name])
    return _rows(frame)
