"""Test TCP storage, and the sink on it, with a real ClickHouse server that is killed and restarted.

Debian's server is too old for the schema (no DateTime64, no codecs), so tables of plain types replace it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import StorageError
from schemas.events import TABLES
from schemas.settings import Settings, load_settings
from schemas.topics import STORED_TOPICS
from sinks.storage.base import Block
from sinks.storage.tcp import ServerStorage
from tests.sinks.clickhouse_server import ClickHouseServer, find_binary
from tests.sinks.events import trade
from tests.sinks.helpers import produce, rows, running, until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        find_binary() is None, reason="clickhouse-server is not installed (apt install clickhouse-server)"
    ),
]

TABLE = """
CREATE TABLE prism.{t} (id String, price Float64, source String, _partition UInt16, _offset UInt64)
    ENGINE = MergeTree PARTITION BY tuple() ORDER BY _offset;
CREATE TABLE prism_internal.{t}_entry (value String, _partition UInt16, _offset UInt64) ENGINE = Null;
CREATE MATERIALIZED VIEW prism_internal.{t}_parse TO prism.{t} AS SELECT visitParamExtractString(value, 'id') AS id,
    toFloat64(visitParamExtractString(value, 'price')) AS price, visitParamExtractString(value, 'source') AS source,
    _partition, _offset FROM prism_internal.{t}_entry"""


class OldServerStorage(ServerStorage):
    """`ServerStorage` without the insert settings and the function that so old a server does not know."""

    def insert_settings(self, token: str) -> dict[str, Any]:
        return {}

    def query(self, sql: str) -> Sequence[Sequence[Any]]:
        known = "arrayStringConcat(arraySlice(splitByChar(':', source), 1, 2), ':')"
        return super().query(sql.replace("substringIndex(source, ':', 2)", known))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ClickHouseServer]:
    running_server = ClickHouseServer(tmp_path / "server")
    running_server.start()
    yield running_server
    running_server.kill()


@pytest.fixture
async def store(server: ClickHouseServer) -> AsyncIterator[OldServerStorage]:
    opened = OldServerStorage(load_settings(clickhouse=server.url))
    for database in ("prism", "prism_internal"):
        opened.execute(f"CREATE DATABASE {database}")
    for topic in STORED_TOPICS:
        for statement in TABLE.format(t=TABLES[topic]).split(";"):
            opened.execute(statement)
    yield opened
    opened.close()


async def test_a_block_is_stored(store: OldServerStorage) -> None:
    """Values, partition and offsets of a block become rows. One unparseable row makes the whole block fail."""
    assert store.insert("prism.trades", Block(7, [trade(0), trade(1)], [40, 41]), "a") is None
    assert store.query("SELECT id, price, source, _partition, _offset FROM prism.trades") == [
        ("0", 60000.0, "binance:0:0:0:0", 7, 40),
        ("1", 60000.1, "binance:0:0:1:0", 7, 41),
    ]
    bad = trade(3).replace(b'"price":"60000.3"', b'"price":"much"')
    rejection = store.insert("prism.trades", Block(7, [trade(2), bad], [42, 43]), "b")
    assert rejection is not None
    assert "Stack trace" not in rejection.reason
    assert store.query("SELECT count() FROM prism.trades") == [(2,)]


async def test_errors_say_what_is_wrong(store: OldServerStorage, server: ClickHouseServer) -> None:
    """A missing table, a wrong password and an unreachable server are reported, without the password."""
    with pytest.raises(StorageError, match=r"Code: 60.*nowhere"):
        store.query("SELECT * FROM prism.nowhere")
    wrong = OldServerStorage(load_settings(clickhouse=server.url.replace("cret", "cure")))
    with pytest.raises(StorageError, match=r"Code: 193"):
        wrong.query("SELECT 1")
    server.kill()
    with pytest.raises(StorageError, match=f"cannot reach ClickHouse at 127.0.0.1:{server.port}") as error:
        store.insert("prism.trades", Block(0, [trade(0)], [0]), "c")
    assert "cret" not in str(error.value)
    server.start()
    assert store.query("SELECT 1") == [(1,)]


async def test_the_sink_waits_for_its_server(
    settings: Settings, store: OldServerStorage, server: ClickHouseServer
) -> None:
    """The server is killed and restarted repeatedly while events arrive. Every event is one row."""
    own = settings.model_copy(update={"clickhouse": server.url, "database": "prism"})
    async with running(own, store):
        for first in range(0, 12_000, 3_000):
            await produce(settings, "market.trades", [trade(n) for n in range(first, first + 3_000)])
            await asyncio.sleep(0.3)
            await asyncio.to_thread(server.kill)
            await asyncio.sleep(0.3)
            await asyncio.to_thread(server.start)

        async def complete() -> bool:
            return bool((await rows(store, "SELECT count() FROM prism.trades"))[0][0] >= 12_000)

        await until(complete)
    assert await rows(store, "SELECT count(), uniqExact(id), uniqExact(_offset) FROM prism.trades") == [(12_000,) * 3]


async def test_a_sink_can_stop_while_its_server_is_down(
    settings: Settings, store: OldServerStorage, server: ClickHouseServer
) -> None:
    """A sink that is stopped while it waits leaves unstored events to its successor."""
    own = settings.model_copy(update={"clickhouse": server.url, "database": "prism"})
    async with running(own, store):
        await produce(settings, "market.trades", [trade(n) for n in range(10)])

        async def stored() -> bool:
            return bool(await rows(store, "SELECT count() FROM prism.trades") == [(10,)])

        await until(stored)
        await asyncio.to_thread(server.kill)
        await produce(settings, "market.trades", [trade(n) for n in range(10, 20)])
        await asyncio.sleep(1.5)
    await asyncio.to_thread(server.start)
    async with running(own, store):

        async def complete() -> bool:
            return bool(await rows(store, "SELECT count(), uniqExact(id) FROM prism.trades") == [(20, 20)])

        await until(complete)


async def test_two_sinks_share_the_partitions(
    settings: Settings, store: OldServerStorage, server: ClickHouseServer
) -> None:
    """A second sink joins the group while events arrive, then the first one leaves. Every event is one row."""
    own = settings.model_copy(update={"clickhouse": server.url, "database": "prism"})
    other = OldServerStorage(own)

    async def send(first: int) -> None:
        for partition in range(2):
            await produce(settings, "market.trades", [trade(n) for n in range(first, first + 2_000)], partition)

    async def complete() -> bool:
        return bool((await rows(store, "SELECT count() FROM prism.trades"))[0][0] >= 16_000)

    async with running(own, other):
        async with running(own, store):
            await send(0)
            await asyncio.sleep(1)
            await send(2_000)
        await send(4_000)
        await send(6_000)
        await until(complete)
    exact = (
        "SELECT _partition, count(), uniqExact(id), uniqExact(_offset) FROM prism.trades GROUP BY _partition ORDER BY 1"
    )
    assert await rows(store, exact) == [(0, 8_000, 8_000, 8_000), (1, 8_000, 8_000, 8_000)]
    other.close()
