"""What earlier versions left in a database and this one has elsewhere. Nothing of it holds rows."""

import structlog

from schemas.errors import StorageError
from sinks.storage.base import Storage
from sinks.tables import Table

log = structlog.get_logger(__name__)

_PARSES = "MaterializedView"


def make_way(storage: Storage, database: str) -> None:
    """Drop the view `candles`, whose name a table has now."""
    if ("candles", "View") in _existing(storage, database):
        _drop(storage, database, "candles", "View")
        log.info("view dropped: candles_of_trades takes its place", view="candles", database=database)


def drop_earlier_helpers(storage: Storage, database: str, tables: list[Table]) -> None:
    """Drop entry tables and the views that parse: both are now in a database of their own.

    A sink of an earlier version that still runs then waits with what it has not stored. The entry table goes first, as
    soon as its last insert has ended: without its view it would accept blocks and lose them.
    """
    existing = _existing(storage, database)
    helpers = [each for table in tables for each in ((f"{table.name}_entry", "Null"), (f"{table.name}_parse", _PARSES))]
    earlier = [each for each in helpers if each in existing]
    for name, engine in earlier:
        _drop(storage, database, name, engine)
    if earlier:
        log.info("entry tables and their views moved to the sink's own database", database=database, count=len(earlier))


def _drop(storage: Storage, database: str, name: str, engine: str) -> None:
    try:
        storage.execute(f"DROP TABLE {database}.{name} SYNC")
    except StorageError:
        if (name, engine) in _existing(storage, database):  # else another sink has dropped it
            raise


def _existing(storage: Storage, database: str) -> set[tuple[str, str]]:
    """Return the names and engines of a database's tables and views."""
    rows = storage.query(f"SELECT name, engine FROM system.tables WHERE database = '{database}'")
    return {(str(name), str(engine)) for name, engine in rows}
