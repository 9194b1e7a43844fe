"""Provide one made-up hour in one embedded ClickHouse for all tests of a module."""

from collections.abc import Iterator

import pytest

from schemas.settings import load_settings
from sinks.directory import directory_of
from sinks.migrations import migrate
from sinks.sql.read_only import ReadOnlyConnection
from sinks.storage.embedded import EmbeddedStorage
from tests.sinks.queries.exact import Data
from tests.sinks.queries.maker import made
from tests.sinks.queries.page import store


@pytest.fixture(scope="module")
def hour() -> Data:
    """Return the events, which end at `maker.NOW`."""
    return made(seed=9)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory, hour: Data) -> Iterator[ReadOnlyConnection]:
    """Open a read-only client of a database that holds the hour."""
    with_path = f"chdb://{tmp_path_factory.mktemp('queries')}/clickhouse"
    settings = load_settings(clickhouse=with_path, database="prism")
    storage = EmbeddedStorage(settings)
    migrate(storage, settings)
    store(storage, hour)
    connection = ReadOnlyConnection(directory_of(settings), settings.database)
    yield connection
    connection.close()
    storage.close()
