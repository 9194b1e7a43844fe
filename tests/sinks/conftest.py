"""Provide each test with its own migrated embedded ClickHouse."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from marketprism.local.broker import free_port
from schemas.settings import Settings, load_settings
from sinks.migrations import migrate
from sinks.storage.embedded import EmbeddedStorage


def _settings_in(directory: Path) -> Settings:
    return load_settings(
        clickhouse=f"chdb://{directory}/clickhouse", sql_address=f"127.0.0.1:{free_port()}", database="prism"
    )


@pytest.fixture
def engine_settings(tmp_path: Path) -> Settings:
    """Return settings with their own ClickHouse directory, but without a broker."""
    return _settings_in(tmp_path)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a ClickHouse with all tables, which is closed. To copy it is faster than to migrate."""
    directory = tmp_path_factory.mktemp("migrated")
    settings = _settings_in(directory)
    opened = EmbeddedStorage(settings)
    migrate(opened, settings)
    opened.close()
    return directory / "clickhouse"


@pytest.fixture
def storage(migrated: Path, engine_settings: Settings, tmp_path: Path) -> Iterator[EmbeddedStorage]:
    """Open an embedded ClickHouse with all tables."""
    shutil.copytree(migrated, tmp_path / "clickhouse", symlinks=True)
    opened = EmbeddedStorage(engine_settings)
    yield opened
    opened.close()
