"""Drop what is past the retention."""

import asyncio

from marketprism.jobs.outcome import Outcome, Reporter
from schemas.settings import Settings
from sinks.sql.retention_client import drop_expired_parts


async def apply_retention(settings: Settings, reporter: Reporter) -> Outcome:
    """Drop the parts whose rows are all past `retention_days`, and say from when on each table has rows."""
    if not settings.retention_days:
        return Outcome("nothing to do: rows are kept indefinitely (retention_days is 0)", {})
    tables = await asyncio.to_thread(drop_expired_parts, settings)
    rows, size = sum(table.rows for table in tables), sum(table.bytes for table in tables)
    oldest = min((table.oldest for table in tables if table.oldest), default="")
    kept = f"; the oldest row left was stored at {oldest}" if oldest else ""
    figures = {"rows": rows, "bytes": size, "tables": [table._asdict() for table in tables]}
    return Outcome(f"dropped {rows:,} rows, {size / 1e6:,.1f} MB{kept}", figures)
