"""Databases of earlier versions, which kept entry tables and applied migrations beside the tables of events."""

import re
from collections.abc import Iterator

import pytest

from schemas.errors import StorageError
from schemas.events import EVENTS
from schemas.settings import Settings
from sinks.migrations import load, migrate
from sinks.storage.base import Block
from sinks.storage.embedded import EmbeddedStorage
from sinks.tables import render
from tests.sinks.events import trade
from tests.sinks.helpers import DyingStorage, Killed

MODELS = [EVENTS[f"market.{name}"] for name in ("trades", "books", "quotes", "candles", "funding", "gaps", "quality")]
EARLIER = load()[:2]
BOOKKEEPING = (
    "CREATE TABLE IF NOT EXISTS prism.migrations (name String, checksum String, "
    "applied_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')) ENGINE = MergeTree ORDER BY name"
)
_COMMENT = re.compile(r"\s+COMMENT '(?:[^'\\]|\\.)*'")


@pytest.fixture
def earlier(engine_settings: Settings) -> Iterator[DyingStorage]:
    """A database as the version before `0003_views.sql` left it, with one trade."""
    storage = DyingStorage(engine_settings)
    storage.execute("CREATE DATABASE prism")
    storage.execute(BOOKKEEPING)
    for model in MODELS:
        table = render(model, "prism")
        for statement in (table.create, table.create_entry, table.create_view):
            storage.execute(_COMMENT.sub("", statement).replace("prism_internal.", "prism."))
    for migration in EARLIER:
        values = f"('{migration.name}', '{migration.checksum}')"
        for statement in migration.statements("prism"):
            storage.execute(statement)
        storage.execute(f"INSERT INTO prism.migrations (name, checksum) VALUES {values}")
    assert store_earlier(storage, 0)
    yield storage
    storage.close()


def store_earlier(storage: EmbeddedStorage, number: int) -> bool:
    """Store a trade as the earlier version does. Return whether ClickHouse took it."""
    try:
        storage.query(f"INSERT INTO prism.trades_entry VALUES ('{trade(number).decode()}', 0, {number})")
    except StorageError:
        return False
    return True


def names(storage: EmbeddedStorage) -> set[str]:
    return {row[0] for row in storage.query("SHOW TABLES FROM prism")}


def test_only_what_users_read_is_listed(earlier: DyingStorage, engine_settings: Settings) -> None:
    """Entry tables, parsing views and the table of migrations move to a database of their own."""
    assert {"trades_entry", "trades_parse", "migrations"} < names(earlier)
    assert migrate(earlier, engine_settings, models=MODELS) == [each.name for each in load()[2:]]
    views = {"book_at", "candles_of_trades", "candles_of_all_trades", "data_quality", "migrations", "spreads", "vwap"}
    assert names(earlier) == {model.table_name for model in MODELS} | views
    moved = {row[0] for row in earlier.query("SHOW TABLES FROM prism_internal")}
    assert moved == {f"{model.table_name}_{part}" for model in MODELS for part in ("entry", "parse")} | {"migrations"}


def test_a_move_killed_after_each_statement_is_completed(earlier: DyingStorage, engine_settings: Settings) -> None:
    """Whatever statement a start dies after, no row is lost or doubled, also of an earlier sink that still runs."""
    stored, statements = 1, 0
    while True:
        earlier.left = statements
        try:
            migrate(earlier, engine_settings, models=MODELS)
        except Killed:
            statements += 1
        else:
            break
        earlier.left = 1_000
        stored += store_earlier(earlier, stored)
        assert earlier.query("SELECT count(), uniqExact(_offset) FROM prism.trades") == [[stored, stored]]
    assert statements > 2 * len(MODELS)
    assert stored > 3
    assert not store_earlier(earlier, stored)
    assert earlier.insert("prism.trades", Block(0, [trade(stored)], [stored]), "a") is None
    assert earlier.query("SELECT count(), uniqExact(_offset) FROM prism.trades") == [[stored + 1] * 2]
    applied = earlier.query("SELECT name, checksum FROM prism.migrations ORDER BY name")
    assert applied == [[each.name, each.checksum] for each in load()]


def test_an_earlier_sink_ends_on_a_database_of_this_version(earlier: DyingStorage, engine_settings: Settings) -> None:
    """It finds its bookkeeping with a migration that it does not know, and can neither replace nor change it."""
    migrate(earlier, engine_settings, models=MODELS)
    earlier.execute(BOOKKEEPING)
    applied = {row[0] for row in earlier.query("SELECT name, checksum FROM prism.migrations ORDER BY applied_at")}
    assert applied - {each.name for each in EARLIER} == {each.name for each in load()[2:]}
    with pytest.raises(StorageError, match="not supported by storage View"):
        earlier.execute("INSERT INTO prism.migrations (name, checksum) VALUES ('a', 'b')")


def test_comments_are_added_once(earlier: DyingStorage, engine_settings: Settings) -> None:
    """Tables that were created without comments get those of their models, and changed ones are set again."""
    for change in ("SELECT 1", "ALTER TABLE prism.trades COMMENT COLUMN price 'other', MODIFY COMMENT 'others'"):
        earlier.execute(change)
        migrate(earlier, engine_settings, models=MODELS)
        for model in MODELS:
            table = render(model, "prism")
            found = earlier.query(
                f"SELECT name, comment FROM system.columns WHERE database = 'prism' AND table = '{table.name}'"
            )
            assert found == [[column.name, column.comment] for column in table.columns]
            comment = f"SELECT comment FROM system.tables WHERE database = 'prism' AND name = '{table.name}'"
            assert earlier.query(comment) == [[model.meaning]]


def test_a_dropped_database_is_created_again(earlier: DyingStorage, engine_settings: Settings) -> None:
    """The helper tables of a database that was dropped do not hide from the next start what has to be created."""
    migrate(earlier, engine_settings, models=MODELS)
    earlier.execute("DROP DATABASE prism")
    with pytest.raises(StorageError, match=r"prism\.trades"):
        earlier.insert("prism.trades", Block(0, [trade(1)], [1]), "a")
    migrate(earlier, engine_settings)
    assert earlier.insert("prism.trades", Block(0, [trade(1)], [1]), "a") is None
    assert earlier.query("SELECT trades FROM prism.vwap(interval_seconds = 60)") == [[1]]
