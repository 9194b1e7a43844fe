"""A real ClickHouse with some events."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from schemas.events import TABLES
from schemas.settings import Settings, load_settings
from sinks.migrations import migrate
from sinks.storage.base import Block
from sinks.storage.embedded import EmbeddedStorage
from tests.sinks.events import encoded


def database_with(directory: Path, events: Iterable[tuple[str, dict[str, Any]]]) -> Settings:
    """Return the settings of a database with these events, each given by its topic and the fields that matter."""
    made = load_settings(clickhouse=f"chdb://{directory}/clickhouse", sql_address="127.0.0.1:1")
    storage = EmbeddedStorage(made)
    migrate(storage, made)
    for number, (topic, fields) in enumerate(events):
        value = encoded(topic, f"binance:0:{number}:0:0", **fields)
        table = f"{made.database}.{TABLES[topic]}"
        assert storage.insert(table, Block(0, [value], [number]), f"{number}") is None
    storage.close()
    return made
