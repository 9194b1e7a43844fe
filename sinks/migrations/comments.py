"""Comments of tables and columns: what the event models say of them. An ALTER of comments changes metadata only."""

import structlog

from sinks.storage.base import Storage
from sinks.tables import Table, quoted

log = structlog.get_logger(__name__)


def update_comments(storage: Storage, database: str, tables: list[Table]) -> None:
    """Set the comments that differ from the models'."""
    found = {
        (table, column): comment
        for table, column, comment in storage.query(
            f"SELECT table, name, comment FROM system.columns WHERE database = '{database}' "
            f"UNION ALL SELECT name, '', comment FROM system.tables WHERE database = '{database}'"
        )
    }
    changed = 0
    for table in tables:
        changes = [
            f"COMMENT COLUMN `{column.name}` {quoted(column.comment)}"
            for column in table.columns
            if found[table.name, column.name] != column.comment
        ]
        if found[table.name, ""] != table.comment:
            changes.append(f"MODIFY COMMENT {quoted(table.comment)}")
        if changes:
            storage.execute(f"ALTER TABLE {database}.{table.name} {', '.join(changes)}")
        changed += len(changes)
    if changed:
        log.info("comments changed", database=database, comments=changed)
