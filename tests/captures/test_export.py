"""Export rows of the embedded ClickHouse to files."""

import csv
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pandas
import pytest
from pyarrow import parquet, types

from marketprism.captures import export as module
from marketprism.captures.export import Query, export
from schemas.errors import SettingsError, StorageError
from schemas.settings import Settings, load_settings
from sinks.migrations import migrate
from sinks.sql.client import run_query
from sinks.storage.base import Block
from sinks.storage.embedded import EmbeddedStorage
from tests.sinks.events import DAY, encoded, trade

ROWS = 500


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Store trades, one each 10 s, and a book; return the settings to reach them."""
    settings = load_settings(clickhouse=f"chdb://{tmp_path_factory.mktemp('export')}/clickhouse")
    storage = EmbeddedStorage(settings)
    migrate(storage, settings)
    values = [
        trade(n, local_timestamp=DAY + n * 10_000_000, symbol=("BTC-USDT", "ETH-USDT")[n % 2]) for n in range(ROWS)
    ]
    for table, rows in (("trades", values), ("books", [encoded("market.books")])):
        block = Block(0, rows, list(range(len(rows))))
        assert storage.insert(f"marketprism.{table}", block, block.token(table)) is None
    storage.close()
    return settings


def exported(settings: Settings, query: Query, path: Path, *, force: bool = False) -> list[tuple[int, int]]:
    """Export to a file, and return the reports of progress."""
    reports: list[tuple[int, int]] = []
    export(settings, query, path, path.suffix[1:], lambda *report: reports.append(report), force=force)
    return reports


def test_parquet(stored: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decimals are exact, times are UTC, and pandas reads it. Several queries become one file."""
    monkeypatch.setattr(module, "_ROWS", 100)
    path = tmp_path / "trades.parquet"
    reports = exported(stored, Query("trades", DAY + 10_000_000, DAY + 4_000_000_000), path)
    assert len(reports) > 3
    assert reports[-1] == (399, 399)
    table = parquet.read_table(path)
    field = table.schema.field("price").type
    assert (types.is_decimal(field), field.precision, field.scale) == (True, 76, 18)
    assert str(table.schema.field("local_timestamp").type) == "timestamp[us, tz=UTC]"
    frame = pandas.read_parquet(path)
    assert list(frame["id"]) == [str(n) for n in range(1, 400)]
    assert frame["price"][0] == Decimal("60000.1")
    assert frame["local_timestamp"][0] == datetime(2024, 8, 8, 0, 0, 10, tzinfo=UTC)
    assert "_offset" not in frame.columns


def test_csv(stored: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CSV file has one header."""
    monkeypatch.setattr(module, "_ROWS", 100)
    path = tmp_path / "trades.csv"
    exported(stored, Query("trades", DAY, DAY + 10**10, ["binance"], ["ETH-USDT"]), path)
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [str(n) for n in range(1, ROWS, 2)]
    assert rows[0]["price"] == "60000.1"


def test_levels(stored: Settings, tmp_path: Path) -> None:
    """Books have lists of exact prices and amounts."""
    path = tmp_path / "books.parquet"
    exported(stored, Query("books", DAY, DAY + 10**10), path)
    [row] = parquet.read_table(path).to_pylist()
    assert row["bids.price"] == [Decimal("1.5"), Decimal("1.4")]
    assert row["asks.amount"] == [Decimal("0.000000000000000001")]


def test_large_results_are_queried_in_parts(stored: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A query whose result is too large is halved until it fits."""
    whole, asked = tmp_path / "whole.csv", list[str]()
    query = Query("trades", DAY, DAY + 10**10)
    exported(stored, query, whole)

    def bounded(settings: Settings, sql: str, output_format: str = "TabSeparated") -> bytes:
        answer = run_query(settings, sql, output_format)
        asked.append(sql)
        if output_format != "TabSeparated" and answer.count(b"\n") > 150:
            raise StorageError("Code: 396. DB::Exception: Limit for result exceeded. (TOO_MANY_ROWS_OR_BYTES)")
        return answer

    monkeypatch.setattr(module, "run_query", bounded)
    exported(stored, query, tmp_path / "parts.csv")
    assert len(asked) > 5
    assert (tmp_path / "parts.csv").read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(
    ("table", "exchanges", "message"),
    [
        ("trade", (), "there is no table 'trade': did you mean trades?"),
        ("xyz", (), "the tables are trades, books"),
        ("signals", ("okx",), "has no column `exchange`"),
    ],
)
def test_unusable_queries(table: str, exchanges: tuple[str, ...], message: str, tmp_path: Path) -> None:
    """The error says what to write instead."""
    with pytest.raises(SettingsError, match=message.replace("?", r"\?")):
        exported(load_settings(), Query(table, 0, 1, exchanges), tmp_path / "x.csv")


def test_files(stored: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An existing file is replaced only with force, and only by a whole one."""
    path, query = tmp_path / "trades.csv", Query("trades", DAY, DAY + 10**10)
    path.write_text("precious")
    with pytest.raises(SettingsError, match=r"trades\.csv already exists"):
        exported(stored, query, path)
    with pytest.raises(StorageError, match="no such rows"):
        exported(stored, Query("trades", 1, 2), path, force=True)
    with pytest.raises(SettingsError, match=r"there is no format 'xls': the formats are parquet, csv"):
        exported(stored, query, tmp_path / "trades.xls")
    with monkeypatch.context() as patch:
        patch.setattr(module._CsvWriter, "add", lambda *_: [][0])
        with pytest.raises(IndexError):
            exported(stored, query, path, force=True)
    assert path.read_text() == "precious"
    exported(stored, query, path, force=True)
    assert path.read_text().count("\n") == ROWS + 1
    assert [each.name for each in tmp_path.iterdir()] == ["trades.csv"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_rows_are_counted_as_written(
    stored: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """The number of rows is that of the file, even if more were stored since they were counted."""
    path, query = tmp_path / f"trades.{suffix}", Query("trades", DAY, DAY + 10**10)
    (tmp_path / f"{path.name}.part").write_text("mine")
    monkeypatch.setattr(module, "_counts", lambda *_: {DAY // 60_000_000: 7})
    assert export(stored, query, path, suffix, lambda *_: None) == ROWS
    assert sorted(each.name for each in tmp_path.iterdir()) == [path.name, f"{path.name}.part"]


def test_a_text_with_line_ends_is_one_row(tmp_path: Path) -> None:
    """Line ends and quotes inside a quoted text of CSV end no row."""
    writer = module._CsvWriter(tmp_path / "x.csv")
    writer.add(b'"id","text"\n1,"a\nb ""c\n"" d"\n2,"e"\n')
    writer.close()
    assert writer.rows == 2
