"""The data directory of an embedded ClickHouse, and where the process that owns it serves SQL.

Without the engine, which takes long to import and much memory, so that any program may ask.
"""

from pathlib import Path

from schemas.settings import Settings

ADDRESS_FILE = "sql_address"
DATA_HEADER = "X-MarketPrism-Data"  # directory that a client expects, as an outdated address may lead to another sink


def directory_of(settings: Settings) -> Path:
    """Return the directory of a `chdb://DIR` setting."""
    return Path(settings.clickhouse.removeprefix("chdb://"))


def running_address(directory: Path) -> str:
    """Return the address on which the directory's owner serves SQL, or an empty string if there is no owner."""
    try:
        return (directory / ADDRESS_FILE).read_text().strip()
    except OSError:
        return ""
