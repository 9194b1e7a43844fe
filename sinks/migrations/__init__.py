"""The ClickHouse schema: tables rendered from the event models, and numbered SQL files, each applied once, in order.

Tables and views for users are in the database, all else is in one of its own (`sinks/names.py`).

A migration changes existing tables (`ALTER TABLE … ADD COLUMN IF NOT EXISTS …`) or creates a view that no model
describes. It also runs on a new database, whose tables are already those of the models.
"""

import hashlib
import re
from collections.abc import Collection, Iterator, Sequence
from importlib import resources
from typing import NamedTuple

import structlog

from schemas.errors import StorageError
from schemas.events import EVENTS, Event
from schemas.settings import Settings
from sinks.migrations.bookkeeping import applied_migrations, open_bookkeeping
from sinks.migrations.comments import update_comments
from sinks.migrations.earlier import drop_earlier_helpers, make_way
from sinks.names import internal, parse_of
from sinks.storage.base import Storage
from sinks.tables import Table, quoted, render

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
        """Return the statements for a database. A statement ends with a semicolon at the end of a line."""
        for statement in re.split(r";[ \t]*(?:\n|$)", self.text):
            if re.sub(r"--.*", "", statement).strip():
                yield statement.replace("{database}", database).strip()


def load() -> list[Migration]:
    """Return the migrations of this version, in order."""
    files = [file for file in resources.files(__name__).iterdir() if file.name.endswith(".sql")]
    return [Migration(file.name, file.read_text("utf-8")) for file in sorted(files, key=lambda file: file.name)]


def migrate(
    storage: Storage,
    settings: Settings,
    migrations: Sequence[Migration] | None = None,
    models: Collection[type[Event]] = tuple(EVENTS.values()),
) -> list[str]:
    """Create missing tables, apply new migrations, update parsing and comments, and set the retention.

    Return the names of the applied migrations. Raise `StorageError` if another version created the database, or if a
    table's columns differ from its model. Every step can be repeated, so a crash or a second sink that starts at the
    same time does no harm.
    """
    database = settings.database
    migrations = load() if migrations is None else migrations
    tables = [render(model, database) for model in models]
    open_bookkeeping(storage, database)
    new = _missing(migrations, applied_migrations(storage, database), database)
    make_way(storage, database)
    for table in tables:
        storage.execute(table.create)
        storage.execute(table.create_entry)
    for migration in new:
        for statement in migration.statements(database):
            storage.execute(statement)
        storage.execute(
            f"INSERT INTO {internal(database)}.migrations (name, checksum) "
            f"VALUES ('{migration.name}', '{migration.checksum}')"
        )
        log.info("migration applied", migration=migration.name, database=database)
    _check_columns(storage, database, tables)
    _update_views(storage, database, tables)
    update_comments(storage, database, tables)
    drop_earlier_helpers(storage, database, tables)
    _set_retention(storage, settings)
    return [migration.name for migration in new]


def _missing(migrations: Sequence[Migration], applied: dict[str, str], database: str) -> list[Migration]:
    for migration in migrations:
        if applied.get(migration.name, migration.checksum) != migration.checksum:
            raise StorageError(
                f"migration {migration.name} was changed after it was applied to database {database}: "
                "restore it and write the change as a new migration"
            )
    unknown = applied.keys() - {migration.name for migration in migrations}
    if unknown:
        raise StorageError(
            f"database {database} has migrations that this version does not know ({', '.join(sorted(unknown))}): "
            "it was created by another version, newer or older. Use that version, or name a new database (setting "
            "`database`): the sink fills it with the events that the topics still hold"
        )
    new = [migration for migration in migrations if migration.name not in applied]
    if applied and new and new[0].name < max(applied):
        raise StorageError(
            f"migration {new[0].name} comes before {max(applied)}, which database {database} already has: "
            "give it a higher number"
        )
    return new


def _check_columns(storage: Storage, database: str, tables: list[Table]) -> None:
    """Raise `StorageError` unless every table has its model's columns. Codecs and comments may differ."""
    found: dict[str, dict[str, str]] = {}
    for table, name, kind in storage.query(
        f"SELECT table, name, type FROM system.columns WHERE database = '{database}'"
    ):
        found.setdefault(table, {})[name] = kind
    differences = []
    for table in tables:
        wanted, actual = {column.name: column.type for column in table.columns}, found[table.name]
        columns = [
            f"{name} is {actual.get(name, 'missing')}, expected {wanted.get(name, 'none')}"
            for name in wanted | actual
            if wanted.get(name) != actual.get(name)
        ]
        if columns:
            differences.append(f"{database}.{table.name} ({'; '.join(columns)})")
    if differences:
        raise StorageError(f"tables differ from their event models: {', '.join(differences)}: write a migration")


def _update_views(storage: Storage, database: str, tables: list[Table]) -> None:
    """Create the views that parse events, or change their queries. Inserts at the same time use either query."""
    own = internal(database)
    rows = storage.query(f"SELECT concat(database, '.', name), as_select FROM system.tables WHERE database = '{own}'")
    found = {str(view): query for view, query in rows}
    for table in tables:
        view = parse_of(f"{database}.{table.name}")
        if view not in found:
            storage.execute(table.create_view)
        elif found[view] != storage.query(f"SELECT formatQuerySingleLine({quoted(table.select)})")[0][0]:
            # An entry table without its view would accept blocks and lose them, so the view is never dropped.
            storage.execute(f"ALTER TABLE {view} MODIFY QUERY {table.select}")
            log.info("parsing changed", table=table.name, database=database)


def _set_retention(storage: Storage, settings: Settings) -> None:
    """Delete rows `retention_days` after they were stored: a replay of old captures is kept as long as live data."""
    tables = storage.query(
        "SELECT name, create_table_query FROM system.tables WHERE engine = 'MergeTree' "
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
