"""Drop the parts whose rows are all past the retention, without waiting for ClickHouse's merges to do it."""

from typing import NamedTuple

from schemas.errors import StorageError
from schemas.settings import Settings
from sinks.storage.base import Storage

# A part has the times at which its rows expire, by the TTL that `sinks/migrations` sets; without a TTL they are 0.
# After a change of the TTL, a mutation corrects them.
_PARTS = """
SELECT table, name, rows, bytes_on_disk FROM system.parts
WHERE active AND database = '{database}' AND delete_ttl_info_max > toDateTime(0) AND delete_ttl_info_max < now()
    AND table NOT IN (SELECT table FROM system.mutations WHERE database = '{database}' AND NOT is_done)
ORDER BY table, name
"""
_OLDEST = """
SELECT table, toString(toTimeZone(min(delete_ttl_info_min), 'UTC') - toIntervalDay({days}))
FROM system.parts
WHERE active AND database = '{database}' AND delete_ttl_info_min > toDateTime(0)
GROUP BY table
"""
_NO_SUCH_PART = "Code: 232."


class TableRetention(NamedTuple):
    """What was dropped of a table, and when its oldest row left was stored, in UTC; empty: it has none."""

    table: str
    parts: int
    rows: int
    bytes: int
    oldest: str


def drop_expired(storage: Storage, settings: Settings) -> list[TableRetention]:
    """Drop the expired parts, and return the tables that have or had rows. Raise `StorageError` if that fails."""
    if not settings.retention_days:  # parts keep the times of a TTL that was removed
        return []
    dropped: dict[str, list[tuple[int, int]]] = {}
    for table, name, rows, size in storage.query(_PARTS.format(database=settings.database)):
        if _drop(storage, f"{settings.database}.{table}", name):
            dropped.setdefault(table, []).append((int(rows), int(size)))
    left = storage.query(_OLDEST.format(database=settings.database, days=settings.retention_days))
    oldest = {table: str(stored) for table, stored in left}
    return [_sum(table, dropped.get(table, []), oldest.get(table, "")) for table in sorted({*dropped, *oldest})]


def _drop(storage: Storage, table: str, part: str) -> bool:
    """Drop a part. Return False if a merge has replaced or dropped it meanwhile."""
    try:
        storage.execute(f"ALTER TABLE {table} DROP PART '{part}'")
    except StorageError as error:
        if _NO_SUCH_PART in str(error):
            return False
        raise
    return True


def _sum(table: str, parts: list[tuple[int, int]], oldest: str) -> TableRetention:
    return TableRetention(table, len(parts), sum(rows for rows, _ in parts), sum(size for _, size in parts), oldest)
