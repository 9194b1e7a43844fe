"""Conversion of events to rows by the entry tables, on the real engine."""

from decimal import Decimal
from typing import Any

import orjson
import pytest

from schemas.events import EVENTS, TABLES
from sinks.storage.base import Block, Rejection
from sinks.storage.embedded import EmbeddedStorage
from tests.sinks.events import BODIES, DAY, encoded, event, trade

DECIMALS = {"price", "amount", "exchange_amount", "average_price", "profit", "peak_amount", "peak_profit"}
TIMES = {"timestamp", "local_timestamp", "opened_at", "since"}
LATER = {("market.gaps", name) for name in ("channel", "first_missing", "last_missing", "since")}


def insert(storage: EmbeddedStorage, topic: str, *values: bytes, first: int = 0) -> Rejection | None:
    block = Block(3, list(values), list(range(first, first + len(values))))
    return storage.insert(f"prism.{TABLES[topic]}", block, block.token(topic))


def columns_of(body: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the expected value by column, or by expression, for an event."""
    columns: dict[str, Any] = {}
    for name, value in body.items():
        if name in ("buy", "sell"):
            columns |= columns_of(value, f"{name}_")
        elif name in ("bids", "asks"):
            columns[f"{name}.price"] = [Decimal(price) for price, _ in value]
            columns[f"{name}.amount"] = [Decimal(amount) for _, amount in value]
        elif name in DECIMALS:
            columns[prefix + name] = Decimal(value)
        elif name == "channels":
            columns[f"arrayStringConcat({name}, ',')"] = ",".join(value)
        elif name in ("bbo", "book") and isinstance(value, list):
            columns[name] = [Decimal(text) if text else None for text in value]
        else:
            columns[prefix + name] = value
    return columns


def stored(storage: EmbeddedStorage, table: str, columns: dict[str, Any]) -> dict[str, Any]:
    """Read these columns of the only row, with exact decimals and times."""
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
    """An event that lacks a field never becomes a row with a default value."""
    for name in EVENTS[topic].model_fields:
        body = {key: value for key, value in event(topic).items() if key != name}
        if name in ("bbo", "book") or (topic, name) in LATER:
            continue  # optional, or absent from older events that topics may still hold
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
    """A malformed event, decimals that exceed the column, or an invalid source: the whole block is rejected."""
    assert isinstance(insert(storage, "market.trades", trade(0), value, trade(2)), Rejection)
    assert storage.query("SELECT count() FROM prism.trades") == [[0]]


def test_malformed_levels_are_rejected(storage: EmbeddedStorage) -> None:
    """A book level without an amount, or with text as its price, does not become a level of zero."""
    for level in (b'["1.50"]', b'["x","2"]', b"[]"):
        assert insert(storage, "market.books", encoded("market.books").replace(b'["1.50","2"]', level)) is not None


def test_an_empty_side_has_no_best_price(storage: EmbeddedStorage) -> None:
    """A quote's best levels are also stored in plain columns. An empty side is NULL, not 0."""
    insert(storage, "market.quotes", encoded("market.quotes"))
    row = storage.query("SELECT toString(bid_price), toString(bid_amount), ask_price, ask_amount FROM prism.quotes")
    assert row == [["1.5", "2", None, None]]


def test_a_repeated_block_is_stored_once(storage: EmbeddedStorage) -> None:
    """A block inserted again with its token, as after a lost response, is ignored."""
    for _ in range(3):
        assert insert(storage, "market.trades", trade(0), trade(1)) is None
    assert storage.query("SELECT count() FROM prism.trades") == [[2]]


def test_a_block_covers_one_day(storage: EmbeddedStorage) -> None:
    """A block across UTC midnight is rejected and has to be split there, so that each part is stored atomically."""
    before, after = trade(0, local_timestamp=DAY - 1), trade(1, local_timestamp=DAY)
    rejection = insert(storage, "market.trades", before, after)
    assert rejection is not None
    assert rejection.code == 252
    assert insert(storage, "market.trades", before) is None
    assert insert(storage, "market.trades", after, first=1) is None
    days = "SELECT partition FROM system.parts WHERE database = 'prism' AND table = 'trades' AND active ORDER BY 1"
    assert storage.query(days) == [["20240807"], ["20240808"]]


def test_held_view_compares_sources_numerically(storage: EmbeddedStorage) -> None:
    """The resume position is read from a projection, by numeric order of sources, for each origin."""
    sources = ["binance:0:9:9:9", "okx:0:5:0:0", "binance:0:10:2:0", "binance:0:10:10:0"]
    values = [encoded("market.trades", source) for source in sources]
    insert(storage, "market.trades", *values[:2], first=100)
    insert(storage, "market.trades", *values[2:], first=102)
    held = "SELECT origin, offset, highest_source FROM prism.trades_held WHERE partition = 3 ORDER BY origin"
    assert storage.query(held) == [["binance:0", 103, "binance:0:10:10:0"], ["okx:0", 101, "okx:0:5:0:0"]]
    plan = "\n".join(str(row[0]) for row in storage.query(f"EXPLAIN {held}"))
    assert "ReadFromMergeTree (held)" in plan
    assert set(TABLES) == set(BODIES)


def test_gaps_without_a_channel_are_stored(storage: EmbeddedStorage) -> None:
    """A gap event without the later fields is a book gap. A malformed later field is rejected."""
    old = {name: value for name, value in event("market.gaps").items() if ("market.gaps", name) not in LATER}
    assert insert(storage, "market.gaps", orjson.dumps(old)) is None
    columns = "channel, first_missing, last_missing, since = local_timestamp"
    assert storage.query(f"SELECT {columns} FROM prism.gaps") == [["books", "", "", 1]]
    for name in ("channel", "since"):
        assert insert(storage, "market.gaps", orjson.dumps(event("market.gaps") | {name: None}), first=9) is not None
