"""Provide each test with its own migrated embedded ClickHouse."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from marketprism.local.broker import free_port
from schemas.settings import Settings, load_settings
from sinks.migrations import migrate
from sinks.storage.embedded import EmbeddedStorage


@pytest.fixture
def engine_settings(tmp_path: Path) -> Settings:
    """Return settings with their own ClickHouse directory, but without a broker."""
    return load_settings(
        clickhouse=f"chdb://{tmp_path}/clickhouse", sql_address=f"127.0.0.1:{free_port()}", database="prism"
    )


@pytest.fixture
def storage(engine_settings: Settings) -> Iterator[EmbeddedStorage]:
    """Open an embedded ClickHouse with all tables."""
    opened = EmbeddedStorage(engine_settings)
    migrate(opened, engine_settings)
    yield opened
    opened.close()
