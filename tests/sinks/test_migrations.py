"""Migrations on the real engine are applied once and in order, and changed ones are detected."""

import time

import pytest

from schemas.errors import StorageError
from schemas.events import TABLES
from schemas.settings import Settings
from sinks.migrations import Migration, load, migrate
from sinks.storage.base import Block
from sinks.storage.embedded import EmbeddedStorage
from tests.sinks.events import BODIES, encoded

FIRST = Migration("0001_first.sql", "CREATE TABLE {database}.a (x Int8) ENGINE = Memory; -- a\n-- only words;\n")
SECOND = Migration("0002_second.sql", "INSERT INTO {database}.a VALUES (1);\nINSERT INTO {database}.a VALUES (2);\n")


@pytest.fixture
def bare(engine_settings: Settings) -> EmbeddedStorage:
    return EmbeddedStorage(engine_settings)


def test_each_migration_is_applied_once_and_in_order(bare: EmbeddedStorage, engine_settings: Settings) -> None:
    """A second start applies nothing, and a later version applies only its new migrations."""
    assert migrate(bare, engine_settings, [FIRST]) == ["0001_first.sql"]
    assert migrate(bare, engine_settings, [FIRST, SECOND]) == ["0002_second.sql"]
    assert migrate(bare, engine_settings, [FIRST, SECOND]) == []
    assert bare.query("SELECT sum(x) FROM prism.a") == [[3]]
    names = bare.query("SELECT name, length(checksum), applied_at > '2020-01-01' FROM prism.migrations ORDER BY name")
    assert names == [["0001_first.sql", 64, 1], ["0002_second.sql", 64, 1]]
    bare.close()


def test_changed_migrations_are_rejected(bare: EmbeddedStorage, engine_settings: Settings) -> None:
    """An applied migration that was changed, and a new one that was inserted, raise an error that says what to do."""
    migrate(bare, engine_settings, [FIRST, SECOND])
    with pytest.raises(StorageError, match=r"0001_first\.sql was changed after it was applied to database prism"):
        migrate(bare, engine_settings, [FIRST._replace(text="SELECT 1;\n"), SECOND])
    with pytest.raises(StorageError, match=r"0001_between\.sql comes before 0002_second\.sql"):
        migrate(bare, engine_settings, [FIRST, Migration("0001_between.sql", "SELECT 1;\n"), SECOND])
    with pytest.raises(StorageError, match=r"unknown to this version \(0002_second\.sql\)"):
        migrate(bare, engine_settings, [FIRST])
    bare.close()


@pytest.mark.parametrize("missing", range(1, 14, 2))
def test_an_interrupted_migration_is_completed(bare: EmbeddedStorage, engine_settings: Settings, missing: int) -> None:
    """A crash between two statements leaves an unrecorded migration. The next start applies it again."""
    bare.execute("CREATE DATABASE prism")
    statements = [text for migration in load() for text in migration.statements("prism")]
    for statement in statements[:-missing]:
        bare.execute(statement)
    assert migrate(bare, engine_settings) == [migration.name for migration in load()]
    bare.close()


def test_retention_follows_the_setting(storage: EmbeddedStorage, engine_settings: Settings) -> None:
    """Every table gets, changes and loses its TTL with `retention_days`, even when it holds rows."""

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


def test_old_trades_have_an_exchange_amount(bare: EmbeddedStorage, engine_settings: Settings) -> None:
    """A database from before the column keeps its trades and stores new ones through the recreated view."""
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


def test_old_rows_are_exact_after_migration(bare: EmbeddedStorage, engine_settings: Settings) -> None:
    """Every table of a database from before the wide decimals keeps its rows, stores new ones and is exact."""
    migrate(bare, engine_settings, [migration for migration in load() if migration.name < "0010"])

    def store(offset: int) -> None:
        for topic in BODIES:
            price = {"price": "86749.65", "amount": "0.08181"} if topic == "market.trades" else {}
            block = Block(0, [encoded(topic, f"binance:0:{offset}:0:0", **price)], [offset])
            assert bare.insert(f"prism.{TABLES[topic]}", block, block.token(topic)) is None

    store(1)
    levels = "SELECT toString(bid_price), `bids.price`, `asks.amount` FROM prism.quotes ORDER BY _offset LIMIT 1"
    before = bare.query(levels)
    assert bare.query("SELECT toString(sum(price * amount)) FROM prism.trades")[0][0].startswith("-48.94")
    assert "0012_gap_channels.sql" in migrate(bare, engine_settings)
    assert bare.query(levels) == before
    for rows in (1, 2):
        assert [bare.query(f"SELECT count() FROM prism.{table}") for table in TABLES.values()] == [[[rows]]] * len(
            TABLES
        )
        notional = f"SELECT sum(price * amount) = {rows} * toDecimal256('7096.9888665', 36) FROM prism.trades"
        assert bare.query(notional) == [[1]]
        candle = "SELECT trades, toString(quote_volume / volume) FROM prism.candles(interval_seconds = 60)"
        assert bare.query(candle) == [[rows, "86749.65"]]
        store(2)
    gaps = "SELECT channel, first_missing, since = local_timestamp FROM prism.gaps ORDER BY _offset"
    assert bare.query(gaps)[:2] == [["books", "", 1], ["trades", "5", 0]]
    narrow = "SELECT table FROM system.columns WHERE database = 'prism' AND type LIKE '%Decimal(38%' AND table IN ({})"
    assert bare.query(narrow.format(", ".join(f"'{table}'" for table in TABLES.values()))) == []
    bare.close()


def test_old_rows_are_exact_while_they_are_rewritten(bare: EmbeddedStorage, engine_settings: Settings) -> None:
    """The start does not wait until ClickHouse has rewritten the old rows. Sums and candles are exact meanwhile."""
    migrate(bare, engine_settings, [migration for migration in load() if migration.name < "0010"])
    columns = (
        "exchange, symbol, timestamp, local_timestamp, id, price, amount, side, kind, exchange_amount, source, _offset"
    )
    bare.execute(
        f"INSERT INTO prism.trades ({columns}) SELECT 'okx', 'BTC-USDT', 1 + number / 1000, 1, '', 60000, 2, 'buy', "
        "number % 4 ? 'normal' : 'adl', 2, concat('okx:0:', toString(number), ':0:0'), number FROM numbers(2000000)"
    )
    migrate(bare, engine_settings)
    sums = "SELECT toString(sum(amount)), toString(sumIf(price * amount, on_book)) FROM prism.trades"
    candles = "SELECT sum(trades), toString(sum(quote_volume)) FROM prism.candles(interval_seconds = 60)"
    for rewritten in (False, True):
        assert bare.query(sums) == [["4000000", "180000000000"]]
        assert bare.query(candles) == [[1_500_000, "180000000000"]]
        while not rewritten and bare.query("SELECT count() FROM system.mutations WHERE NOT is_done") != [[0]]:
            time.sleep(0.1)
    bare.close()
