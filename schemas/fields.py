"""Types of event fields. Each also says how ClickHouse stores the field (`sinks/tables.py`)."""

from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, Field

from schemas.sources import split_source


def _signed_decimal(text: str) -> str:
    if "e" in text.lower() or not Decimal(text).is_finite():
        raise ValueError("not a plain decimal")
    return text


def _plain_decimal(text: str) -> str:
    if Decimal(_signed_decimal(text)).is_signed():
        raise ValueError("negative")
    return text


def _decimal_or_empty(text: str) -> str:
    return _plain_decimal(text) if text else text


def _source(text: str) -> str:
    split_source(text)
    return text


class LowCardinality:
    """Mark a text field that has few distinct values."""


class Exact:
    """Mark a text field that holds a decimal number."""


class MayBeEmpty:
    """Mark a decimal in a list that is an empty text where there is no number."""


class Time:
    """Mark an integer field that is a time."""


SignedDecimal = Annotated[
    str, Exact, AfterValidator(_signed_decimal), Field(description="decimal string, plain notation")
]
PlainDecimal = Annotated[
    str, Exact, AfterValidator(_plain_decimal), Field(description="decimal string, plain notation, not negative")
]
DecimalOrEmpty = Annotated[
    str, Exact, MayBeEmpty, AfterValidator(_decimal_or_empty), Field(description="decimal string, or empty")
]
Micros = Annotated[int, Time, Field(description="microseconds since the epoch, UTC", ge=0)]
Label = Annotated[str, LowCardinality]
Source = Annotated[str, AfterValidator(_source), Field(description="the line that caused the event")]
Level = tuple[PlainDecimal, PlainDecimal]
