"""Open the embedded ClickHouse or a connection to a server, as the settings say."""

from schemas.settings import Settings
from sinks.storage.base import Storage


def open_storage(settings: Settings) -> Storage:
    """Open the ClickHouse named by the setting `clickhouse`."""
    if settings.clickhouse.startswith("chdb://"):
        from sinks.storage.embedded import EmbeddedStorage  # imported only when used: the engine is 400 MB

        return EmbeddedStorage(settings)
    from sinks.storage.tcp import ServerStorage

    return ServerStorage(settings)
