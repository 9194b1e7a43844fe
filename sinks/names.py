"""Where things are in ClickHouse: what users read is in the database, what the sink needs besides in one of its own."""


def internal(database: str) -> str:
    """Return the database of the sink's own tables: entry tables, the views that parse, applied migrations."""
    return f"{database}_internal"


def entry_of(table: str) -> str:
    """Return the table that takes the unparsed events of `database.table`."""
    return f"{_own(table)}_entry"


def parse_of(table: str) -> str:
    """Return the materialized view that parses the events of `database.table`."""
    return f"{_own(table)}_parse"


def _own(table: str) -> str:
    database, _, name = table.partition(".")
    return f"{internal(database)}.{name}"
