"""Migrations on the real engine: once, in order, and never changed behind one's back."""

import pytest

from schemas.errors import StorageError
from schemas.settings import Settings
from sinks.embedded import EmbeddedStorage
from sinks.migrations import Migration, load, migrate

FIRST = Migration("0001_first.sql", "CREATE TABLE {database}.a (x Int8) ENGINE = Memory; -- a\n-- only words;\n")
SECOND = Migration("0002_second.sql", "INSERT INTO {database}.a VALUES (1);\nINSERT INTO {database}.a VALUES (2);\n")


@pytest.fixture
def bare(engine_settings: Settings) -> EmbeddedStorage:
    return EmbeddedStorage(engine_settings)


def test_each_is_applied_once_and_in_order(bare: EmbeddedStorage, engine_settings: Settings) -> None:
    """A second start applies nothing; a later version applies only what is new."""
    assert migrate(bare, engine_settings, [FIRST]) == ["0001_first.sql"]
    assert migrate(bare, engine_settings, [FIRST, SECOND]) == ["0002_second.sql"]
    assert migrate(bare, engine_settings, [FIRST, SECOND]) == []
    assert bare.query("SELECT sum(x) FROM prism.a") == [[3]]
    names = bare.query("SELECT name, length(checksum), applied_at > '2020-01-01' FROM prism.migrations ORDER BY name")
    assert names == [["0001_first.sql", 64, 1], ["0002_second.sql", 64, 1]]
    bare.close()


def test_a_changed_one_is_refused(bare: EmbeddedStorage, engine_settings: Settings) -> None:
    """An applied migration whose text changed, or that came in between, stops the start with what to do."""
    migrate(bare, engine_settings, [FIRST, SECOND])
    with pytest.raises(StorageError, match=r"0001_first\.sql was changed after it was applied to database prism"):
        migrate(bare, engine_settings, [FIRST._replace(text="SELECT 1;\n"), SECOND])
    with pytest.raises(StorageError, match=r"0001_between\.sql comes before 0002_second\.sql"):
        migrate(bare, engine_settings, [FIRST, Migration("0001_between.sql", "SELECT 1;\n"), SECOND])
    with pytest.raises(StorageError, match=r"does not know \(0002_second\.sql\)"):
        migrate(bare, engine_settings, [FIRST])
    bare.close()


def test_an_interrupted_one_is_finished(bare: EmbeddedStorage, engine_settings: Settings) -> None:
    """A crash between two statements leaves tables without a record: the next start goes over them."""
    bare.execute("CREATE DATABASE prism")
    statements = [text for migration in load() for text in migration.statements("prism")]
    for statement in statements[:-3]:
        bare.execute(statement)
    assert migrate(bare, engine_settings) == [migration.name for migration in load()]
    bare.close()


def test_retention_follows_the_setting(storage: EmbeddedStorage, engine_settings: Settings) -> None:
    """Every table gets, changes and loses its TTL with `retention_days`, also after rows are there."""

    def days() -> list[str]:
        rows = storage.query(
            "SELECT DISTINCT extract(create_table_query, 'toIntervalDay\\\\((\\\\d+)\\\\)') FROM system.tables "
            "WHERE database = 'prism' AND engine = 'MergeTree' AND name != 'migrations'"
        )
        return [str(row[0]) for row in rows]

    assert days() == [""]
    for setting in (7, 7, 30, 0):
        migrate(storage, engine_settings.model_copy(update={"retention_days": setting}))
        assert days() == [str(setting) if setting else ""]


def test_trades_of_before_have_an_exchange_amount(bare: EmbeddedStorage, engine_settings: Settings) -> None:
    """A database from before the column keeps its trades, and takes new ones by the view that was made anew."""
    trade = '{"source":"okx:0:%d:0:0","exchange":"okx","symbol":"BTC-USDT-PERP","timestamp":1,"local_timestamp":2,'
    trade += '"id":"7","price":"5","amount":"0.12","side":"buy","kind":"normal"%s}'
    insert = "INSERT INTO prism.trades_entry VALUES ('{}', 0, {})"
    migrate(bare, engine_settings, [migration for migration in load() if migration.name < "0008"])
    bare.execute(insert.format(trade % (1, ""), 1))
    migrate(bare, engine_settings)
    bare.execute(insert.format(trade % (2, ',"exchange_amount":"12"'), 2))
    rows = bare.query("SELECT toString(amount), toString(exchange_amount) FROM prism.trades ORDER BY _offset")
    assert rows == [["0.12", "0.12"], ["0.12", "12"]]
    bare.close()
