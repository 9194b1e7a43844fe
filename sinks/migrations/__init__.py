"""Create and update the ClickHouse schema from numbered SQL files, each applied once, in order."""

import hashlib
import re
from collections.abc import Iterator
from importlib import resources
from typing import NamedTuple

import structlog

from schemas.errors import StorageError
from schemas.settings import Settings
from sinks.storage.base import Storage

log = structlog.get_logger(__name__)

_TTL = re.compile(r"TTL .*toIntervalDay\((\d+)\)")


class Migration(NamedTuple):
    """One numbered SQL file."""

    name: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def statements(self, database: str) -> Iterator[str]:
        """Yield the statements, with the database's name inserted. Each ends with a semicolon at the end of a line."""
        for statement in re.split(r";[ \t]*(?:\n|$)", self.text):
            if re.sub(r"--.*", "", statement).strip():
                yield statement.replace("{database}", database).strip()


def load() -> list[Migration]:
    """Return the migrations of this version, in order."""
    files = [file for file in resources.files(__name__).iterdir() if file.name.endswith(".sql")]
    return [Migration(file.name, file.read_text("utf-8")) for file in sorted(files, key=lambda file: file.name)]


def migrate(storage: Storage, settings: Settings, migrations: list[Migration] | None = None) -> list[str]:
    """Apply the missing migrations and set the retention. Return the names of the applied ones.

    Statements say IF NOT EXISTS, so a migration that a crash or a second sink interrupted is safely applied again.
    """
    database = settings.database
    migrations = load() if migrations is None else migrations
    storage.execute(f"CREATE DATABASE IF NOT EXISTS {database}")
    storage.execute(
        f"CREATE TABLE IF NOT EXISTS {database}.migrations (name String, checksum String, "
        "applied_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')) ENGINE = MergeTree ORDER BY name"
    )
    applied = {str(name): str(checksum) for name, checksum in _applied(storage, database)}
    new = _missing(migrations, applied, database)
    for migration in new:
        for statement in migration.statements(database):
            storage.execute(statement)
        storage.execute(
            f"INSERT INTO {database}.migrations (name, checksum) VALUES ('{migration.name}', '{migration.checksum}')"
        )
        log.info("migration applied", migration=migration.name, database=database)
    _set_retention(storage, settings)
    return [migration.name for migration in new]


def _applied(storage: Storage, database: str) -> list[tuple[str, str]]:
    rows = storage.query(f"SELECT name, checksum FROM {database}.migrations ORDER BY applied_at")
    return [(name, checksum) for name, checksum in rows]


def _missing(migrations: list[Migration], applied: dict[str, str], database: str) -> list[Migration]:
    for migration in migrations:
        if applied.get(migration.name, migration.checksum) != migration.checksum:
            raise StorageError(
                f"migration {migration.name} was changed after it was applied to database {database}: "
                "restore the original file and write the change as a new migration"
            )
    unknown = applied.keys() - {migration.name for migration in migrations}
    if unknown:
        raise StorageError(
            f"database {database} has migrations unknown to this version ({', '.join(sorted(unknown))}): "
            "it was written by a newer version: use that version, or another database (setting `database`)"
        )
    new = [migration for migration in migrations if migration.name not in applied]
    if applied and new and new[0].name < max(applied):
        raise StorageError(
            f"migration {new[0].name} comes before {max(applied)}, which database {database} already has: "
            "give it a higher number"
        )
    return new


def _set_retention(storage: Storage, settings: Settings) -> None:
    """Delete rows `retention_days` after they were stored, so that replayed captures are kept as long as live data."""
    tables = storage.query(
        "SELECT name, create_table_query FROM system.tables WHERE engine = 'MergeTree' AND name != 'migrations' "
        f"AND database = '{settings.database}'"
    )
    for table, definition in tables:
        found = _TTL.search(definition)
        if int(found[1] if found else 0) == settings.retention_days:
            continue
        change = (
            f"MODIFY TTL toDateTime(_inserted) + toIntervalDay({settings.retention_days})"
            if settings.retention_days
            else "REMOVE TTL"
        )
        storage.execute(f"ALTER TABLE {settings.database}.{table} {change}")
        log.info("retention set", table=table, days=settings.retention_days)
