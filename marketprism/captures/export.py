"""Export rows of a ClickHouse table to a Parquet or CSV file (`marketprism export`)."""

import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from schemas.errors import SettingsError, StorageError
from schemas.events import EVENTS
from schemas.settings import Settings
from schemas.suggestions import nearest
from sinks.sql.client import run_query
from sinks.tables import quoted

_MINUTE = 60_000_000
_ROWS = 100_000  # at most in one query, if a minute has not more
# A query's result is bounded, and so is its memory: of a window with larger rows, each half is queried by itself.
_TOO_LARGE = ("Code: 396.", "Code: 241.")
_COLUMNS = "* EXCEPT (_partition, _offset, _inserted)"

Window = tuple[int, int]  # from, until before, µs since the epoch
Progress = Callable[[int, int], None]  # rows so far, all rows


@dataclass(frozen=True)
class Query:
    """Rows to export: of one table, received in a span of time; of some exchanges and symbols, or of all."""

    table: str
    start: int
    end: int
    exchanges: Sequence[str] = ()
    symbols: Sequence[str] = ()

    def check(self) -> None:
        """Raise `SettingsError` for a table that does not exist, or lacks a column that is selected by."""
        models = {model.table_name: model for model in EVENTS.values()}
        if self.table not in models:
            close = nearest(self.table, models)
            hint = f"did you mean {close}?" if close else f"the tables are {', '.join(models)}"
            raise SettingsError(f"there is no table {self.table!r}: {hint}")
        if self.exchanges and "exchange" not in models[self.table].model_fields:
            raise SettingsError(f"{self.table} has no column `exchange`: leave out --exchange")

    def where(self, window: Window) -> str:
        """Return the condition for the rows of a window of time."""
        start, end = (f"fromUnixTimestamp64Micro({time}, 'UTC')" for time in window)
        conditions = [f"local_timestamp >= {start}", f"local_timestamp < {end}"]
        for column, values in (("exchange", self.exchanges), ("symbol", self.symbols)):
            if values:
                conditions.append(f"{column} IN ({', '.join(map(quoted, values))})")
        return " AND ".join(conditions)


class _Writer(Protocol):
    """Writer of one file. `output_format`: what ClickHouse returns; `add` takes the rows of one query.

    `rows`: their number so far.
    """

    output_format: str
    rows: int

    def add(self, rows: bytes) -> None: ...

    def close(self) -> None: ...


class _CsvWriter:
    output_format = "CSVWithNames"

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self.rows = 0

    def add(self, rows: bytes) -> None:
        head, _, rest = rows.partition(b"\n")
        self._file.write(rest if self._file.tell() else head + b"\n" + rest)
        self.rows += sum(part.count(b"\n") for part in rest.split(b'"')[::2])  # a quoted text may contain line ends

    def close(self) -> None:
        self._file.close()


class _ParquetWriter:
    output_format = "Parquet"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: Any = None
        self.rows = 0

    def add(self, rows: bytes) -> None:
        from pyarrow import parquet  # takes a third of a second

        found = parquet.read_table(io.BytesIO(rows))
        if self._writer is None:
            self._writer = parquet.ParquetWriter(self._path, found.schema, compression="zstd")
        self._writer.write_table(found.cast(self._writer.schema))
        self.rows += found.num_rows

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


WRITERS: dict[str, Callable[[Path], _Writer]] = {"parquet": _ParquetWriter, "csv": _CsvWriter}


def export(
    settings: Settings, query: Query, path: Path, file_format: str, progress: Progress, *, force: bool = False
) -> int:
    """Write the rows in order of receipt to a file, in one of the formats of `WRITERS`. Return their number.

    The file appears when it is complete. Raise `SettingsError` for an unusable query or file, and `StorageError` if
    ClickHouse fails or has no such rows.
    """
    query.check()
    if file_format not in WRITERS:
        raise SettingsError(f"there is no format {file_format!r}: the formats are {', '.join(WRITERS)}")
    if path.exists() and not force:
        raise SettingsError(f"{path} already exists: name another file with --output, or write --force")
    counts = _counts(settings, query)
    total = sum(counts.values())
    if not total:
        raise StorageError(f"{query.table} has no such rows: nothing was written")
    with _replaced(path) as temporary:
        writer = WRITERS[file_format](temporary)
        try:
            for window in _windows(query, counts):
                for part in _parts(settings, query, window, writer.output_format):
                    writer.add(part)
                progress(writer.rows, max(writer.rows, total))  # more rows may have come since they were counted
        finally:
            writer.close()
    return writer.rows


def _counts(settings: Settings, query: Query) -> dict[int, int]:
    """Return the number of rows by minute, as the minute's number since the epoch."""
    minute = f"intDiv(toUnixTimestamp64Micro(local_timestamp), {_MINUTE})"
    answer = run_query(
        settings,
        f"SELECT {minute} AS minute, count() FROM {query.table} WHERE {query.where((query.start, query.end))} "
        "GROUP BY minute ORDER BY minute",
    )
    return {int(minute): int(count) for minute, count in (line.split(b"\t") for line in answer.splitlines())}


def _windows(query: Query, counts: dict[int, int]) -> Iterator[Window]:
    """Yield windows: as many whole minutes as have few enough rows, at least one."""
    start, rows = query.start, 0
    for minute, count in counts.items():
        if rows and rows + count > _ROWS:
            yield start, minute * _MINUTE
            start, rows = minute * _MINUTE, 0
        rows += count
    yield start, query.end


def _parts(settings: Settings, query: Query, window: Window, output_format: str) -> Iterator[bytes]:
    """Query a window, in as many parts as necessary."""
    sql = f"SELECT {_COLUMNS} FROM {query.table} WHERE {query.where(window)} ORDER BY local_timestamp, _offset"
    try:
        yield run_query(settings, sql, output_format)
    except StorageError as error:
        start, end = window
        middle = (start + end) // 2
        if middle == start or not any(code in str(error) for code in _TOO_LARGE):
            raise
        yield from _parts(settings, query, (start, middle), output_format)
        yield from _parts(settings, query, (middle, end), output_format)


@contextmanager
def _replaced(path: Path) -> Iterator[Path]:
    """Return a file beside `path` that takes its place if the block succeeds, and is removed otherwise."""
    try:
        with TemporaryDirectory(prefix=f".{path.name[:50]}-", dir=path.parent) as directory:
            part = Path(directory, "part")
            yield part
            os.replace(part, path)
    except OSError as error:
        raise SettingsError(f"cannot write {path}: {error.strerror or error}") from None
