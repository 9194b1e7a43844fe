"""Query the statistics of the tables, from a real ClickHouse and from sinks that do not answer."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from marketprism.local.broker import free_port
from marketprism.ops.table_stats import Opportunity, TableStats, TableStatsReader
from schemas.errors import StorageError
from schemas.settings import Settings, load_settings
from sinks.migrations import migrate
from sinks.sql.http_server import SqlServer
from sinks.storage.base import Block
from sinks.storage.embedded import EmbeddedStorage
from tests.sinks.events import encoded


@pytest.fixture
def own(tmp_path: Path) -> Settings:
    """Return settings of a database that is not called as usual."""
    return load_settings(
        clickhouse=f"chdb://{tmp_path}/clickhouse", sql_address=f"127.0.0.1:{free_port()}", database="prism"
    )


@pytest.fixture
def storage(own: Settings) -> Iterator[EmbeddedStorage]:
    opened = EmbeddedStorage(own)
    migrate(opened, own)
    yield opened
    opened.close()


async def read(storage: EmbeddedStorage, settings: Settings) -> TableStats:
    """Return what the view reads while a sink owns the data."""
    server = SqlServer(settings, storage)
    await server.start()
    async with TableStatsReader(settings) as reader:
        stats = await reader.read()
    await server.stop()
    return stats


async def test_statistics(storage: EmbeddedStorage, own: Settings) -> None:
    """Each opportunity is one row, as of its last signal, and open ones come first."""
    signals: list[dict[str, Any]] = [
        {"id": "a", "type": "opened", "reason": "", "local_timestamp": 1_000, "peak_net_bps": 3.0, "peak_profit": "1"},
        {"id": "a", "type": "updated", "reason": "", "local_timestamp": 2_000, "peak_net_bps": 4.0, "peak_profit": "2"},
        {"id": "b", "type": "opened", "reason": "", "local_timestamp": 3_000, "peak_net_bps": 5.0, "peak_profit": "3"},
        {"id": "b", "type": "closed", "reason": "spread_gone", "local_timestamp": 4_000, "lifetime": 1_000},
        {"id": "c", "type": "closed", "reason": "quote_too_old", "local_timestamp": 5_000},
    ]
    values = [encoded("signals.arbitrage", opened_at=1_000, **each) for each in signals]
    storage.insert("prism.signals", Block(0, values, list(range(5))), "signals")
    storage.insert("prism.quotes", Block(0, [encoded("market.quotes", local_timestamp=77)], [0]), "quotes")
    stats = await read(storage, own)
    assert stats.rows["signals"] == 5
    assert stats.signal_counts == {"opened": 2, "updated": 1, "closed": 2}
    assert stats.newest == 77
    assert [each.closed for each in stats.opportunities] == ["", "quote_too_old", "spread_gone"]
    opened = stats.opportunities[0]
    assert (opened.peak_net_bps, opened.peak_profit, opened.opened_at) == (4.0, 2.0, 1_000)
    assert stats.opportunities[2].lifetime == 1_000
    assert isinstance(opened, Opportunity)


async def test_no_rows(storage: EmbeddedStorage, own: Settings) -> None:
    """Empty tables have statistics too."""
    stats = await read(storage, own)
    assert (stats.opportunities, stats.newest, stats.rows["quotes"]) == ([], 0, 0)


async def test_table_stats_never_open_a_directory(tmp_path: Path) -> None:
    """Without a sink, reading fails at once, whatever the directory contains, and leaves nothing open."""
    directory = tmp_path / "clickhouse"
    directory.mkdir()
    process = psutil.Process()
    async with TableStatsReader(load_settings(clickhouse=f"chdb://{directory}")) as reader:
        with pytest.raises(StorageError, match="no sink is serving"):
            await reader.read()
        (directory / "sql_address").write_text(f"127.0.0.1:{free_port()}")  # left by a killed sink
        with pytest.raises(StorageError, match="does not answer"):
            await reader.read()
        before = process.num_fds(), threading.active_count()
        for _ in range(50):
            with pytest.raises(StorageError):
                await reader.read()
        assert (process.num_fds(), threading.active_count()) == before
    assert [path.name for path in directory.iterdir()] == ["sql_address"]


async def test_an_unresponsive_sink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sink that does not respond, or sends malformed responses, causes an error within the timeout."""
    monkeypatch.setattr("marketprism.ops.table_stats._TIMEOUT", 0.2)
    answers = [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{no",
        b"HTTP/1.1 503 Busy\r\n\r\n",
        b"nonsense\r\n\r\n",
    ]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answers.pop(0))
        await asyncio.sleep(0.5)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    (tmp_path / "sql_address").write_text(f"127.0.0.1:{port}")
    async with server, TableStatsReader(load_settings(clickhouse=f"chdb://{tmp_path}")) as stats:
        while answers:
            with pytest.raises(StorageError):
                await stats.read()
