"""Embedded ClickHouse: chDB, the engine inside this process. Only one process at a time can own a directory."""

import re
import shutil
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import chdb
import orjson
import stamina

from schemas.errors import StorageError
from schemas.settings import Settings
from sinks.directory import directory_of
from sinks.names import entry_of
from sinks.storage.base import ENTRY_COLUMNS, Block, Rejection, insert_settings, rejection_or_raise
from sinks.storage.native import encode_block

_CODE = re.compile(r"Code: (\d+)\.")


def error_code(error: Exception) -> int:
    """Return the ClickHouse error code in a chDB exception, or 0 if there is none."""
    found = _CODE.search(str(error))
    return int(found[1]) if found else 0


def connect(directory: Path) -> Any:
    """Open a new connection. The statements of one connection run one after the other."""
    directory.mkdir(parents=True, exist_ok=True)
    try:
        return chdb.connect(str(directory))
    except RuntimeError as error:
        raise StorageError(
            f"the embedded ClickHouse cannot open {directory}: another process (a sink?) owns it, "
            f"or it is not a ClickHouse directory: {error}"
        ) from None


class EmbeddedStorage:
    """`Storage` in an embedded ClickHouse. Every thread gets its own connection."""

    def __init__(self, settings: Settings) -> None:
        self._directory = directory_of(settings)
        self._local = threading.local()
        self._lock = threading.Lock()
        self._connections: list[Any] = [_connect_with_retry(self._directory)]  # keeps the engine loaded
        # Blocks are passed in a file: the engine reads bytes inside a query only up to the first empty line, and its
        # streaming insert (`send_insert`) reports success for blocks that a materialized view rejected.
        self._blocks = self._directory / "blocks"
        shutil.rmtree(self._blocks, ignore_errors=True)  # files of a killed process
        self._blocks.mkdir()

    def insert(self, table: str, block: Block, token: str) -> Rejection | None:
        options = ", ".join(f"{name} = {_literal(value)}" for name, value in insert_settings(token).items())
        columns = ", ".join(name for name, _ in ENTRY_COLUMNS)
        with tempfile.NamedTemporaryFile(dir=self._blocks, suffix=".native") as file:
            file.write(encode_block(ENTRY_COLUMNS, block.columns()))
            file.flush()
            try:
                self._connection().query(
                    f"INSERT INTO {entry_of(table)} ({columns}) "
                    f"FROM INFILE {_literal(file.name)} SETTINGS {options} FORMAT Native"
                )
            except RuntimeError as error:
                return rejection_or_raise(error_code(error), str(error))
        return None

    def query(self, sql: str) -> Sequence[Sequence[Any]]:
        return [orjson.loads(line) for line in self._run(sql, "JSONCompactEachRow").splitlines()]

    def execute(self, sql: str) -> None:
        self._run(sql, "TabSeparated")

    def close(self) -> None:
        with self._lock:
            for connection in self._connections:
                connection.close()
            self._connections.clear()

    def _run(self, sql: str, output: str) -> bytes:
        try:
            return bytes(self._connection().query(sql, output).bytes())
        except RuntimeError as error:
            self._disconnect()
            raise StorageError(str(error)) from None

    def _disconnect(self) -> None:
        """Close this thread's connection: the engine may prepend the rest of a failed answer to the next one."""
        connection = self._local.__dict__.pop("connection", None)
        if connection is not None:
            with self._lock:
                self._connections.remove(connection)
            connection.close()

    def _connection(self) -> Any:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = connect(self._directory)
            with self._lock:
                self._connections.append(connection)
        return connection


@stamina.retry(on=StorageError, attempts=None, timeout=15.0, wait_initial=0.2, wait_max=1.0)
def _connect_with_retry(directory: Path) -> Any:
    """Wait for a `sinks.sql.client` query to finish, or for a stopping sink to exit."""
    return connect(directory)


def _literal(value: Any) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'" if isinstance(value, str) else str(value)
