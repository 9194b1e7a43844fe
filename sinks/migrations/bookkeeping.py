"""Which migrations have been applied to a database: a table in the sink's own database, and a view of it for all.

Earlier versions kept the table in the database itself. They read the view as if it were theirs, find migrations that
they do not know, and end before they change anything.
"""

import structlog

from sinks.names import internal
from sinks.storage.base import Storage

log = structlog.get_logger(__name__)

_COLUMNS = "name, checksum, applied_at"
_VIEW = """VIEW {database}.migrations
(
    name String COMMENT 'file in sinks/migrations',
    checksum String COMMENT 'SHA-256 of the file, hexadecimal',
    applied_at DateTime64(3, 'UTC') COMMENT 'when this database got it'
)
AS SELECT name, checksum, applied_at FROM {table}
COMMENT 'which changes of tables and views this database has; a sink that does not know all of them ends'"""


def open_bookkeeping(storage: Storage, database: str) -> None:
    """Create both databases, the table and its view; move the rows of the table that an earlier version has left."""
    table = f"{internal(database)}.migrations"
    storage.execute(f"CREATE DATABASE IF NOT EXISTS {database}")
    storage.execute(f"CREATE DATABASE IF NOT EXISTS {internal(database)}")
    storage.execute(
        f"CREATE TABLE IF NOT EXISTS {table} (name String, checksum String, "
        "applied_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')) ENGINE = MergeTree ORDER BY name"
    )
    found = storage.query(f"SELECT engine FROM system.tables WHERE database = '{database}' AND name = 'migrations'")
    engine = found[0][0] if found else ""
    if engine == "View":
        return
    if engine:
        unmoved = f"name NOT IN (SELECT name FROM {table})"
        storage.execute(
            f"INSERT INTO {table} ({_COLUMNS}) SELECT {_COLUMNS} FROM {database}.migrations WHERE {unmoved}"
        )
        log.info("applied migrations moved", database=database, table=table)
    else:  # the database is new. If the table has rows, they are of a database that was dropped.
        storage.execute(f"TRUNCATE TABLE {table}")
    # One step replaces the table by the view, so there is always one of them for an earlier version to read.
    storage.execute(f"CREATE OR REPLACE {_VIEW.format(database=database, table=table)}")


def applied_migrations(storage: Storage, database: str) -> dict[str, str]:
    """Return the checksums of the applied migrations, by name."""
    rows = storage.query(f"SELECT name, checksum FROM {internal(database)}.migrations ORDER BY applied_at")
    return {str(name): str(checksum) for name, checksum in rows}
