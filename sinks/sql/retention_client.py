"""Drop what is past the retention from outside the sink: through the sink that owns the data, or on the server."""

import msgspec

from schemas.errors import StorageError
from schemas.settings import Settings
from sinks.directory import directory_of
from sinks.retention import TableRetention, drop_expired
from sinks.sql.client import ask_owner
from sinks.storage.open import open_storage


def drop_expired_parts(settings: Settings) -> list[TableRetention]:
    """Drop the expired parts of each table. Raise `StorageError`, which says what to do, if that is not possible."""
    if not settings.clickhouse.startswith("chdb://"):
        return _on_server(settings)
    directory = directory_of(settings)
    answer = ask_owner(directory, "/retention", "")
    if answer is None:
        raise StorageError(f"no sink runs on {directory}, and only the sink may change it: start `marketprism sink`")
    return msgspec.json.decode(answer, type=list[TableRetention])


def _on_server(settings: Settings) -> list[TableRetention]:
    storage = open_storage(settings)
    try:
        return drop_expired(storage, settings)
    finally:
        storage.close()
