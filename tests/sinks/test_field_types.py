"""Every field type that an event model may use becomes a column, on the real engine."""

from decimal import Decimal
from typing import Annotated, Any, Literal

import orjson
import pytest
from pydantic import BaseModel, Field

from schemas.events import Event, MarketEvent
from schemas.fields import Label, Micros, PlainDecimal, SignedDecimal
from schemas.settings import Settings
from sinks.migrations import migrate
from sinks.storage.base import Block
from sinks.storage.embedded import EmbeddedStorage
from sinks.tables import render
from tests.sinks.events import DAY


class Detail(BaseModel):
    price: PlainDecimal | None
    is_final: bool


class Sample(MarketEvent):
    """An event with fields of all types, named like keywords of SQL where a name could be."""

    topic_name = "market.samples"
    table_name = "samples"
    meaning = "a test's event"

    rate: SignedDecimal
    index: Annotated[PlainDecimal | None, Field(description="the exchange's index")]
    next_rate: SignedDecimal | None
    next_at: Micros | None
    interval: int | None
    basis: float | None
    order: Literal["a", "b"] | None
    label: Label | None
    text: str | None
    is_settled: bool | None
    count: Annotated[int, Field(ge=0)]
    times: list[Micros]
    rates: list[SignedDecimal]
    detail: Detail


FULL: dict[str, Any] = {
    "source": "binance:0:1:0:0",
    "exchange": "binance",
    "symbol": "BTC-USDT-PERP",
    "timestamp": DAY,
    "local_timestamp": DAY + 1,
    "rate": "-0.000000000000000001",
    "index": "60000.5",
    "next_rate": "-0.25",
    "next_at": DAY + 3,
    "interval": -8,
    "basis": 0.5,
    "order": "b",
    "label": "x",
    "text": 'a "quoted" null',
    "is_settled": True,
    "count": 18_446_744_073_709_551_615,
    "times": [DAY, DAY + 1],
    "rates": ["-1.5", "2"],
    "detail": {"price": "3.25", "is_final": False},
}
NULLABLE = ("index", "next_rate", "next_at", "interval", "basis", "order", "label", "text", "is_settled")
TYPES = {
    "rate": "Decimal(76, 18)",
    "index": "Nullable(Decimal(76, 18))",
    "next_rate": "Nullable(Decimal(76, 18))",
    "next_at": "Nullable(DateTime64(6, 'UTC'))",
    "interval": "Nullable(Int64)",
    "basis": "Nullable(Float64)",
    "order": "LowCardinality(Nullable(String))",
    "label": "LowCardinality(Nullable(String))",
    "text": "Nullable(String)",
    "is_settled": "Nullable(Bool)",
    "count": "UInt64",
    "times": "Array(DateTime64(6, 'UTC'))",
    "rates": "Array(Decimal(76, 18))",
    "detail_price": "Nullable(Decimal(76, 18))",
    "detail_is_final": "Bool",
}


@pytest.fixture
def samples(storage: EmbeddedStorage, engine_settings: Settings) -> EmbeddedStorage:
    migrate(storage, engine_settings, models=[Sample])
    return storage


def accepted(storage: EmbeddedStorage, body: dict[str, Any], offset: int = 0) -> bool:
    block = Block(0, [orjson.dumps(body)], [offset])
    return storage.insert("prism.samples", block, block.token("market.samples")) is None


def test_all_types_become_columns(samples: EmbeddedStorage) -> None:
    """Columns have the types and comments of their fields, and hold their values exactly."""
    columns = {
        name: (kind, comment)
        for name, kind, comment in samples.query(
            "SELECT name, type, comment FROM system.columns WHERE database = 'prism' AND table = 'samples'"
        )
    }
    assert {name: columns[name][0] for name in TYPES} == TYPES
    assert columns["index"][1] == "the exchange's index"
    assert columns["rate"][1] == ""
    Sample.model_validate(FULL)
    assert accepted(samples, FULL)
    row = samples.query(
        "SELECT toString(rate), toString(`index`), toString(next_rate), toUnixTimestamp64Micro(next_at), `interval`, "
        "basis, `order`, label, text, is_settled, count, arrayMap(x -> toUnixTimestamp64Micro(x), times), "
        "arrayMap(x -> toString(x), rates), toString(detail_price), detail_is_final FROM prism.samples"
    )[0]
    wanted = [value for name, value in FULL.items() if name in TYPES]
    assert row[:10] == wanted[:10]
    assert int(row[10]) == FULL["count"]
    assert row[11:] == [*wanted[11:], "3.25", False]
    assert Decimal(row[0]) == Decimal(FULL["rate"])


def test_null_is_stored_where_the_model_allows_it(samples: EmbeddedStorage) -> None:
    """A null of an optional field is NULL; a null of any other field is rejected."""
    assert accepted(samples, FULL | dict.fromkeys(NULLABLE) | {"detail": {"price": None, "is_final": True}})
    nulls = " AND ".join(f"`{name}` IS NULL" for name in (*NULLABLE, "detail_price"))
    assert samples.query(f"SELECT {nulls} FROM prism.samples") == [[1]]
    for number, name in enumerate(set(FULL) - set(NULLABLE), 1):
        assert not accepted(samples, FULL | {name: None}, number), name


def test_missing_keys_are_rejected(samples: EmbeddedStorage) -> None:
    """A missing key is no null, in the event and in a nested model."""
    for number, name in enumerate(FULL, 1):
        assert not accepted(samples, {key: value for key, value in FULL.items() if key != name}, number), name
    for number, name in enumerate(FULL["detail"], 50):
        detail = {key: value for key, value in FULL["detail"].items() if key != name}
        assert not accepted(samples, FULL | {"detail": detail}, number), name
    assert samples.query("SELECT count() FROM prism.samples") == [[0]]


def test_malformed_values_are_no_nulls(samples: EmbeddedStorage) -> None:
    """An optional field that cannot be parsed is rejected, not stored as NULL."""
    malformed = {"index": "x", "next_rate": [], "next_at": "soon", "interval": "x", "basis": {}, "is_settled": "maybe"}
    for number, (name, value) in enumerate(malformed.items(), 1):
        assert not accepted(samples, FULL | {name: value}, number), name
    assert not accepted(samples, FULL | {"detail": {"price": "x", "is_final": True}})


@pytest.mark.parametrize("kind", [dict[str, int], list[int] | None, int | str | None, Detail | None, list[list[int]]])
def test_a_type_without_a_column_is_an_error(kind: Any) -> None:
    """A field type that cannot be rendered is reported with the field's name."""

    class Odd(Event):
        table_name = "odd"
        field: kind

    with pytest.raises(TypeError, match="field field: no column type for"):
        render(Odd, "prism")
