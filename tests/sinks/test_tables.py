"""Parse events into tables, on the real engine."""

from decimal import Decimal
from typing import Any, get_args

import orjson
import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from schemas.events import EVENTS, TABLES, SignalSide
from schemas.fields import Exact, Time
from sinks.storage.base import Block, Rejection
from sinks.storage.embedded import EmbeddedStorage
from sinks.tables import held_query
from tests.sinks.events import BODIES, DAY, encoded, event, trade


def fields_marked(mark: type) -> set[str]:
    """Return the names of all event fields whose type has a mark, such as `Exact`."""
    models: list[type[BaseModel]] = [*EVENTS.values(), SignalSide]
    return {name for model in models for name, field in model.model_fields.items() if mark in marks_of(field)}


def marks_of(field: FieldInfo) -> list[Any]:
    parts = get_args(field.annotation)
    inner = [mark for part in parts for mark in get_args(part)[1:]] if type(None) in parts else []  # `Micros | None`
    return [*field.metadata, *inner]


DECIMALS, TIMES = fields_marked(Exact), fields_marked(Time)


def insert(storage: EmbeddedStorage, topic: str, *values: bytes, first: int = 0) -> Rejection | None:
    block = Block(3, list(values), list(range(first, first + len(values))))
    return storage.insert(f"prism.{TABLES[topic]}", block, block.token(topic))


def columns_of(body: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the columns expected of an event: column or expression, and its value."""
    columns: dict[str, Any] = {}
    for name, value in body.items():
        if name in ("buy", "sell"):
            columns |= columns_of(value, f"{name}_")
        elif name in ("bids", "asks"):
            columns[f"{name}.price"] = [Decimal(price) for price, _ in value]
            columns[f"{name}.amount"] = [Decimal(amount) for _, amount in value]
        elif name in DECIMALS:
            columns[prefix + name] = None if value is None else Decimal(value)
        elif name in ("channels", "fields"):
            columns[f"arrayStringConcat({name}, ',')"] = ",".join(value)
        elif name in ("bbo", "book", "theirs", "ours") and isinstance(value, list):
            columns[name] = [Decimal(text) if text else None for text in value]
        else:
            columns[prefix + name] = value
    return columns


def stored(storage: EmbeddedStorage, table: str, columns: dict[str, Any]) -> dict[str, Any]:
    """Return the given columns of the only row, with exact decimals and times."""
    found: dict[str, Any] = {}
    for name, expected in columns.items():
        decimal = isinstance(expected, Decimal | list)
        column = name if "(" in name else f"`{name}`"
        if name.removeprefix("buy_").removeprefix("sell_") in TIMES:
            column = f"toUnixTimestamp64Micro({column})"
        text = f"arrayMap(x -> toString(x), {column})" if isinstance(expected, list) else f"toString({column})"
        value = storage.query(f"SELECT {text if decimal else column} FROM prism.{table}")[0][0]
        if isinstance(expected, list):
            value = [None if each is None else Decimal(each) for each in value]
        found[name] = Decimal(value) if isinstance(expected, Decimal) else value
    return found


@pytest.mark.parametrize("topic", EVENTS)
def test_every_field_arrives_exactly(storage: EmbeddedStorage, topic: str) -> None:
    """Each event kind is converted to typed columns without losing a digit or a microsecond."""
    body = event(topic)
    assert insert(storage, topic, orjson.dumps(body), first=41) is None
    columns = columns_of(body)
    assert stored(storage, TABLES[topic], columns) == columns
    places = f"SELECT _partition, _offset, _inserted > now() - 60 FROM prism.{TABLES[topic]}"
    assert storage.query(places) == [[3, 41, 1]]


@pytest.mark.parametrize("topic", EVENTS)
def test_every_missing_field_is_rejected(storage: EmbeddedStorage, topic: str) -> None:
    """An event that lacks a field never becomes a row of defaults, unless older events lack it, too."""
    for name in [name for name, field in EVENTS[topic].model_fields.items() if field.is_required()]:
        body = {key: value for key, value in event(topic).items() if key != name}
        assert insert(storage, topic, orjson.dumps(body)) is not None, name
    assert storage.query(f"SELECT count() FROM prism.{TABLES[topic]}") == [[0]]


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"no JSON",
        b"\xff\xfe",
        b"[]",
        trade(1).replace(b'"0.5"', b'"abc"'),
        trade(1).replace(b'"0.5"', b'"0.1234567890123456789"'),
        trade(1).replace(b'"0.5"', b'"123456789012345678901"'),
        trade(1).replace(b'"source":"binance:0:', b'"source":"binance:x:'),
        b'{"exchange":"x",' + trade(1)[1:],
        trade(1).replace(b'"timestamp":', b'"timestamp":"x'),
    ],
)
def test_malformed_events_are_rejected(storage: EmbeddedStorage, value: bytes) -> None:
    """A block with malformed JSON, a decimal beyond the column or an unreadable source is rejected as a whole."""
    assert isinstance(insert(storage, "market.trades", trade(0), value, trade(2)), Rejection)
    assert storage.query("SELECT count() FROM prism.trades") == [[0]]


def test_a_malformed_level_is_rejected(storage: EmbeddedStorage) -> None:
    """A book level without an amount, or with a price that is no number, does not become a level of zero."""
    for level in (b'["1.50"]', b'["x","2"]', b"[]"):
        assert insert(storage, "market.books", encoded("market.books").replace(b'["1.50","2"]', level)) is not None


def test_an_empty_side_has_no_best_price(storage: EmbeddedStorage) -> None:
    """A quote's best levels are also plain columns. They are NULL, not 0, if the side is empty."""
    insert(storage, "market.quotes", encoded("market.quotes"))
    row = storage.query("SELECT toString(bid_price), toString(bid_amount), ask_price, ask_amount FROM prism.quotes")
    assert row == [["1.5", "2", None, None]]


def test_a_repeated_block_is_stored_once(storage: EmbeddedStorage) -> None:
    """A block that is inserted again with its token, as after a lost answer, is ignored."""
    for _ in range(3):
        assert insert(storage, "market.trades", trade(0), trade(1)) is None
    assert storage.query("SELECT count() FROM prism.trades") == [[2]]


def test_a_block_is_within_one_day(storage: EmbeddedStorage) -> None:
    """A block that spans UTC midnight is rejected, so that the sink splits it: each part is whole or absent."""
    before, after = trade(0, local_timestamp=DAY - 1), trade(1, local_timestamp=DAY)
    rejection = insert(storage, "market.trades", before, after)
    assert rejection is not None
    assert rejection.code == 252
    assert insert(storage, "market.trades", before) is None
    assert insert(storage, "market.trades", after, first=1) is None
    days = "SELECT partition FROM system.parts WHERE database = 'prism' AND table = 'trades' AND active ORDER BY 1"
    assert storage.query(days) == [["20240807"], ["20240808"]]


def test_held_query_returns_the_highest_source(storage: EmbeddedStorage) -> None:
    """The point to resume from is read from a projection, per origin, and sources are compared as numbers."""
    sources = ["binance:0:9:9:9", "okx:0:5:0:0", "binance:0:10:2:0", "binance:0:10:10:0"]
    values = [encoded("market.trades", source) for source in sources]
    insert(storage, "market.trades", *values[:2], first=100)
    insert(storage, "market.trades", *values[2:], first=102)
    held = held_query("prism.trades", 3)
    rows = sorted(list(row) for row in storage.query(held))
    assert rows == [["binance:0", 103, "binance:0:10:10:0"], ["okx:0", 101, "okx:0:5:0:0"]]
    assert storage.query(held_query("prism.trades", 4)) == []
    plan = "\n".join(str(row[0]) for row in storage.query(f"EXPLAIN {held}"))
    assert "ReadFromMergeTree (held)" in plan


def test_every_event_kind_is_tested() -> None:
    """Each stored topic has an event in `BODIES`."""
    assert set(TABLES) == set(BODIES)


def test_rejections_name_the_reason(storage: EmbeddedStorage) -> None:
    """The dead letter of a rejected row says what is wrong with it."""
    for topic, value, reason in (
        ("market.trades", b'{"exchange":"x",' + trade(1)[1:], "source does not come first"),
        ("market.trades", trade(1).replace(b'"0.5"', b'"0.1234567890123456789"'), "more than 18 decimal places"),
        ("market.books", encoded("market.books").replace(b'"asks"', b'"aske"'), "asks is missing or not an array"),
    ):
        refusal = insert(storage, topic, value)
        assert refusal is not None
        assert reason in refusal.reason
