"""Create and migrate databases, on the real engine."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor

import orjson
import pytest
from structlog.testing import capture_logs

from schemas.errors import StorageError
from schemas.events import EVENTS, TABLES, Gap, Trade
from schemas.fields import Label, PlainDecimal
from schemas.settings import Settings
from sinks.migrations import Migration, load, migrate
from sinks.storage.base import Block
from sinks.storage.embedded import EmbeddedStorage
from sinks.tables import render
from tests.sinks.events import BODIES, encoded, event, trade
from tests.sinks.helpers import DyingStorage, Killed

FIRST = Migration("0001_first.sql", "CREATE TABLE {database}.a (x Int8) ENGINE = Memory; -- a\n-- only words;\n")
SECOND = Migration("0002_second.sql", "INSERT INTO {database}.a VALUES (1);\nINSERT INTO {database}.a VALUES (2);\n")


class NextTrade(Trade):
    """The trade of a later version."""

    fee: PlainDecimal
    venue: Label | None


FEE = Migration(
    "0009_fee.sql",
    "ALTER TABLE {database}.trades ADD COLUMN IF NOT EXISTS fee Decimal(76, 18) CODEC(ZSTD),\n"
    "    ADD COLUMN IF NOT EXISTS venue LowCardinality(Nullable(String));\n",
)


NEXT = [NextTrade if model is Trade else model for model in EVENTS.values()]


@pytest.fixture
def bare(engine_settings: Settings) -> DyingStorage:
    return DyingStorage(engine_settings)


def test_each_migration_is_applied_once_and_in_order(bare: DyingStorage, engine_settings: Settings) -> None:
    """A second start applies nothing, and a later version applies only what is new."""
    assert migrate(bare, engine_settings, [FIRST]) == ["0001_first.sql"]
    assert migrate(bare, engine_settings, [FIRST, SECOND]) == ["0002_second.sql"]
    assert migrate(bare, engine_settings, [FIRST, SECOND]) == []
    assert bare.query("SELECT sum(x) FROM prism.a") == [[3]]
    names = bare.query("SELECT name, length(checksum), applied_at > '2020-01-01' FROM prism.migrations ORDER BY name")
    assert names == [["0001_first.sql", 64, 1], ["0002_second.sql", 64, 1]]
    bare.close()


def test_a_changed_migration_is_rejected(bare: DyingStorage, engine_settings: Settings) -> None:
    """An applied migration that was changed, or one inserted before it, stops the start and says what to do."""
    migrate(bare, engine_settings, [FIRST, SECOND])
    with pytest.raises(StorageError, match=r"0001_first\.sql was changed after it was applied to database prism"):
        migrate(bare, engine_settings, [FIRST._replace(text="SELECT 1;\n"), SECOND])
    with pytest.raises(StorageError, match=r"0001_between\.sql comes before 0002_second\.sql"):
        migrate(bare, engine_settings, [FIRST, Migration("0001_between.sql", "SELECT 1;\n"), SECOND])
    bare.close()


def test_a_database_of_another_version_is_rejected(bare: DyingStorage, engine_settings: Settings) -> None:
    """A database with unknown migrations, of a newer or an older version, is left as it is."""
    migrate(bare, engine_settings, [FIRST, SECOND], models=())
    with pytest.raises(StorageError, match=r"does not know \(0001_first\.sql, 0002_second\.sql\).*name a new database"):
        migrate(bare, engine_settings)
    assert bare.query("SELECT name FROM system.tables WHERE database = 'prism' ORDER BY name") == [
        ["a"],
        ["migrations"],
    ]
    bare.close()


@pytest.mark.parametrize("statements", [0, 2, 3, 4, 20, 39, 44, 60])
def test_an_interrupted_start_is_completed(bare: DyingStorage, engine_settings: Settings, statements: int) -> None:
    """After a crash between two statements, the next start repeats the first and executes the rest."""
    bare.left = statements
    with pytest.raises(Killed):
        migrate(bare, engine_settings)
    bare.left = 1_000
    migrate(bare, engine_settings)
    for topic in BODIES:
        assert bare.insert(f"prism.{TABLES[topic]}", Block(0, [encoded(topic)], [0]), topic) is None
    assert [bare.query(f"SELECT count() FROM prism.{table}") for table in TABLES.values()] == [[[1]]] * len(TABLES)
    assert bare.query("SELECT name FROM prism.migrations ORDER BY name") == [[each.name] for each in load()]
    bare.close()


def test_a_second_start_changes_nothing(storage: EmbeddedStorage, engine_settings: Settings) -> None:
    """Rendered tables and views compare equal to those that ClickHouse has."""
    with capture_logs() as logs:
        assert migrate(storage, engine_settings) == []
    assert logs == []


def test_sinks_that_start_at_once(bare: DyingStorage, engine_settings: Settings) -> None:
    """Several sinks may create the same database: each finds it complete."""
    settings = engine_settings.model_copy(update={"retention_days": 7})
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: migrate(bare, settings), range(4)))
    assert migrate(bare, settings) == []
    assert bare.insert("prism.trades", Block(0, [trade(0)], [0]), "a") is None
    assert bare.query("SELECT count() FROM prism.trades") == [[1]]
    bare.close()


def test_retention_follows_the_setting(storage: EmbeddedStorage, engine_settings: Settings) -> None:
    """Every table gets, changes and loses its TTL with `retention_days`, also after rows are stored."""

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


def test_changed_columns_need_a_migration(storage: EmbeddedStorage, engine_settings: Settings) -> None:
    """Missing, unknown and retyped columns are reported with their table."""
    storage.execute("ALTER TABLE prism.gaps ADD COLUMN note String, MODIFY COLUMN duration Int32")
    wanted = (
        r"prism\.trades \(fee is missing, expected Decimal\(76, 18\); venue is missing.*\), "
        r"prism\.gaps \(duration is Int32, expected Int64; note is String, expected none\): write a migration"
    )
    with pytest.raises(StorageError, match=wanted):
        migrate(storage, engine_settings, models=[NextTrade, Gap])


def test_a_new_field_is_parsed_after_its_migration(storage: EmbeddedStorage, engine_settings: Settings) -> None:
    """Rows of before stay, and new events are parsed with the new field, which is then required."""
    later = event("market.trades") | {"fee": "0.25", "venue": None}
    assert storage.insert("prism.trades", Block(0, [trade(0)], [0]), "a") is None
    assert migrate(storage, engine_settings, [*load(), FEE], NEXT) == ["0009_fee.sql"]
    assert storage.insert("prism.trades", Block(0, [orjson.dumps(later)], [1]), "b") is None
    assert storage.insert("prism.trades", Block(0, [trade(2)], [2]), "c") is not None
    rows = storage.query("SELECT toString(fee), venue FROM prism.trades ORDER BY _offset")
    assert rows == [["0", None], ["0.25", None]]
    with pytest.raises(StorageError, match=r"does not know \(0009_fee\.sql\)"):
        migrate(storage, engine_settings)


def test_a_migration_also_runs_on_a_new_database(bare: DyingStorage, engine_settings: Settings) -> None:
    """Tables of a new database already have the columns that the migration adds."""
    assert migrate(bare, engine_settings, [*load(), FEE], NEXT) == [
        *(migration.name for migration in load()),
        "0009_fee.sql",
    ]
    assert bare.query("SELECT count() FROM prism.candles_of_trades(interval_seconds = 60)") == [[0]]
    bare.close()


def test_the_view_of_candles_makes_way_for_their_table(bare: DyingStorage, engine_settings: Settings) -> None:
    """A database with the view `candles` gets the table, and rates that were stored before count as estimates."""
    first, *_ = load()
    before = [model for model in EVENTS.values() if model.table_name not in ("candles", "funding")]
    bare.execute("CREATE DATABASE prism")
    old_funding = render(EVENTS["market.funding"], "prism").create
    bare.execute(re.sub(r"    `type` [^\n]*\n", "", old_funding))
    migrate(bare, engine_settings, [first], before)
    assert bare.query("SELECT count() FROM prism.candles(interval_seconds = 60)") == [[0]]
    bare.execute("INSERT INTO prism.funding (exchange, symbol) VALUES ('okx', 'BTC-USDT-PERP')")

    assert migrate(bare, engine_settings) == [migration.name for migration in load()][1:]
    assert bare.query("SELECT type FROM prism.funding") == [["estimated"]]
    for topic, offset in (("market.candles", 0), ("market.funding", 1)):
        table = f"prism.{EVENTS[topic].table_name}"
        assert bare.insert(table, Block(0, [encoded(topic)], [offset]), topic) is None
    assert bare.query("SELECT interval, toString(close) FROM prism.candles") == [["1m", "60000"]]

    old = {name: value for name, value in event("market.funding").items() if name != "type"}
    assert bare.insert("prism.funding", Block(0, [orjson.dumps(old)], [2]), "old") is None
    assert bare.query("SELECT type FROM prism.funding WHERE _offset = 2") == [["estimated"]]
    odd = orjson.dumps(old | {"type": None})
    assert bare.insert("prism.funding", Block(0, [odd], [3]), "odd") is not None
    bare.close()


def test_comparisons_that_were_stored_before_are_of_books(bare: DyingStorage, engine_settings: Settings) -> None:
    """A table of the version before gets the columns, and events of that version are still stored."""
    before = load()[:3]
    added = ("check", "interval", "start", "late", "cause", "fields", "theirs", "ours")
    migrate(bare, engine_settings, before)
    bare.execute(f"ALTER TABLE prism.quality {', '.join(f'DROP COLUMN `{name}`' for name in added)}")
    bare.execute("INSERT INTO prism.quality (exchange, symbol, agreed) VALUES ('okx', 'BTC-USDT', 5)")

    assert "0004_candle_quality.sql" in migrate(bare, engine_settings)
    old = {name: value for name, value in event("market.quality").items() if name not in added}
    assert bare.insert("prism.quality", Block(0, [orjson.dumps(old)], [1]), "old") is None
    query = "SELECT check, interval, start, late, cause, fields, theirs, ours FROM prism.quality"
    assert bare.query(query) == [["book", "", None, 0, "", [], [], []]] * 2
    for odd in ({"check": None}, {"start": "soon"}, {"late": "x"}, {"fields": "high"}, {"ours": None}):
        assert bare.insert("prism.quality", Block(0, [orjson.dumps(old | odd)], [2]), str(odd)) is not None, odd
    bare.close()


@pytest.mark.long
def test_changed_parsing_takes_effect_and_loses_nothing(storage: EmbeddedStorage, engine_settings: Settings) -> None:
    """A view with another query is changed while other sinks insert, and every event is stored."""
    inserted, done = [0, 0], threading.Event()

    def insert(partition: int) -> None:
        while not done.is_set():
            number = inserted[partition]
            block = Block(partition, [trade(number)], [number])
            assert storage.insert("prism.trades", block, block.token("market.trades")) is None
            inserted[partition] += 1

    other = render(Trade, "prism").select.replace("event.id", "upper(event.id)")
    with ThreadPoolExecutor(2) as threads:
        sinks = [threads.submit(insert, partition) for partition in range(2)]
        for _ in range(8):
            storage.execute(f"ALTER TABLE prism_internal.trades_parse MODIFY QUERY {other}")
            with capture_logs() as logs:
                migrate(storage, engine_settings)
            assert [each["event"] for each in logs] == ["parsing changed"]
        done.set()
        for sink in sinks:
            sink.result()
    assert min(inserted) > 0
    assert storage.query("SELECT count(), uniqExact(_partition, _offset) FROM prism.trades") == [[sum(inserted)] * 2]
