"""Which of the two transports the settings name."""

from schemas.settings import Settings
from sinks.storage.base import Storage


def open_storage(settings: Settings) -> Storage:
    """The ClickHouse that the settings name."""
    if settings.clickhouse.startswith("chdb://"):
        from sinks.storage.embedded import EmbeddedStorage  # the engine is 400 MB that a server's client need not load

        return EmbeddedStorage(settings)
    from sinks.storage.tcp import ServerStorage

    return ServerStorage(settings)
