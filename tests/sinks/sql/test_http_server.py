"""SQL over HTTP behaves like ClickHouse, is read-only, and never delays inserts."""

import asyncio
import fcntl
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import aiohttp
import orjson
import psutil
import pytest

import sinks.sql.client
from marketprism.local.broker import free_port
from schemas.errors import StorageError
from schemas.settings import Settings, load_settings
from sinks.sql.client import run_query
from sinks.sql.http_server import SqlServer
from sinks.storage.base import Block
from sinks.storage.embedded import EmbeddedStorage
from tests.sinks.events import trade


@pytest.fixture
async def server(storage: EmbeddedStorage, engine_settings: Settings) -> AsyncIterator[SqlServer]:
    assert storage.insert("prism.trades", Block(0, [trade(n) for n in range(5)], list(range(5))), "t") is None
    running = SqlServer(engine_settings, storage)
    await running.start()
    yield running
    await running.stop()


async def ask(server: SqlServer, body: str = "", path: str = "/") -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"http://{server.address}{path}", data=body.encode()) as answer,
    ):
        return answer.status, await answer.text()


async def test_it_behaves_like_clickhouse(server: SqlServer) -> None:
    """Queries in the body or the URL, formats, parameters, errors and ping work as in ClickHouse."""
    assert await ask(server, path="/ping") == (200, "Ok.\n")
    assert await ask(server, "SELECT count(), max(id) FROM trades") == (200, "5\t4\n")
    assert await ask(server, "FORMAT CSV", "/?query=" + quote("SELECT 1, 'a'")) == (200, '1,"a"\n')
    assert await ask(server, "SELECT 1 AS a", "/?default_format=JSONEachRow") == (200, '{"a":1}\n')
    assert await ask(server, "SELECT {n:UInt8} + 1", "/?param_n=6") == (200, "7\n")
    status, text = await ask(server, "SELECT * FROM nowhere")
    assert status == 404
    assert text.startswith("Code: 60. DB::Exception:")
    assert (await ask(server, "SELEC 1"))[0] == 400
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://{server.address}/", params={"query": "SELECT 1 FORMAT JSON"}) as answer:
            assert answer.content_type == "application/json"
            assert orjson.loads(await answer.read())["data"] == [{"1": 1}]
        async with session.get(f"http://{server.address}/", params={"query": "SELECT x"}) as answer:
            assert answer.headers["X-ClickHouse-Exception-Code"] == "47"


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO trades_entry VALUES ('', 0, 0)",
        "DROP TABLE trades",
        "ALTER TABLE trades DELETE WHERE 1",
        "CREATE TABLE x (a Int8) ENGINE = Memory",
        "CREATE TEMPORARY TABLE x (a Int8)",
        "SET readonly = 0",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT 1 SETTINGS max_execution_time = 0",
        "USE default",
        "KILL QUERY WHERE 1",
        "SYSTEM FLUSH LOGS",
        "BACKUP TABLE trades TO Disk('d', 'x')",
        "SELECT 1; DROP TABLE trades",
        "SELECT 1 PARALLEL WITH SELECT 2",
        "EXPLAIN SELECT file('/etc/passwd')",
        "SELECT file('/etc/passwd')",
        "SELECT `file`('/etc/passwd')",
        "SELECT /* */ FILE /* */ ('/etc/passwd')",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT 'root' IN file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM '/etc/passwd'",
        "WITH (SELECT file('/etc/passwd')) AS x SELECT x",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "SELECT * FROM s3('http://127.0.0.1:1/bucket/x', 'CSV', 'a String')",
        "SELECT * FROM remote('127.0.0.1:1', system.one)",
        "SELECT * FROM python(os)",
        "SELECT * FROM Python(os)",
        "SELECT * FROM executable('ls', 'TSV', 'a String')",
        "DESCRIBE TABLE url('http://127.0.0.1:1/')",
    ],
)
async def test_it_is_read_only(server: SqlServer, sql: str) -> None:
    """Writes, settings, files, addresses and processes are rejected in every spelling, and nothing leaks."""
    status, text = await ask(server, sql)
    assert status >= 400
    assert text.startswith("Code: ")
    assert "root:" not in text
    assert await ask(server, "SELECT count() FROM trades") == (200, "5\n")


async def test_it_writes_no_files(server: SqlServer, tmp_path: Path) -> None:
    """INTO OUTFILE is rejected in every form, but allowed inside a literal."""
    for sql in (
        "SELECT 1 INTO OUTFILE '{}'",
        "EXPLAIN AST SELECT 1 INTO\n OUTFILE '{}'",
        "SHOW TABLES INTO OUTFILE '{}'",
    ):
        assert (await ask(server, sql.format(tmp_path / "out")))[0] >= 400
    assert not (tmp_path / "out").exists()
    harmless = r"SELECT 'it\'s INTO OUTFILE file(''x'') ' AS `file(`"
    assert await ask(server, harmless + " FORMAT TSVRaw") == (200, "it's INTO OUTFILE file('x') \n")


async def test_function_calls_cannot_be_hidden(server: SqlServer) -> None:
    """The checked query is the one that runs, even if literals end in backslashes or contain newlines and tabs."""
    for head in (r"'\\'", r"'\\\''", "'\t\n'", r"'\t\n'", "'" * 4, r"$$\$$"):
        status, text = await ask(server, f"SELECT {head},\n\tfile('/etc/passwd')")
        assert status == 403, head
        assert "accesses data outside" in text
        assert (await ask(server, f"SELECT\n{head} -- words\n"))[0] == 200, head
    assert (await ask(server, "SELECT 1 \0 file('/etc/passwd')"))[0] == 403


async def test_a_long_query_does_not_delay_inserts(server: SqlServer, storage: EmbeddedStorage) -> None:
    """While a query runs for seconds, no block waits for its end."""
    started = time.perf_counter()
    long = asyncio.create_task(
        ask(server, "SELECT count() FROM numbers(400000000) WHERE NOT ignore(sipHash64(number))")
    )
    await asyncio.sleep(0.3)
    slowest, inserts = 0.0, 0
    while not long.done():
        block = Block(0, [trade(100 + inserts)], [100 + inserts])
        begin = time.perf_counter()
        assert await asyncio.to_thread(storage.insert, "prism.trades", block, f"l{inserts}") is None
        slowest, inserts = max(slowest, time.perf_counter() - begin), inserts + 1
    took = time.perf_counter() - started
    assert (await long)[0] in (200, 408)
    assert inserts > 10
    assert slowest < took / 3
    assert await ask(server, "SELECT count() FROM trades") == (200, f"{5 + inserts}\n")


async def test_a_long_query_does_not_delay_shutdown(storage: EmbeddedStorage, engine_settings: Settings) -> None:
    """A running query is killed when the server stops."""
    running = SqlServer(engine_settings, storage)
    await running.start()
    endless = "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))"
    long = asyncio.create_task(ask(running, endless))
    await asyncio.sleep(0.5)
    begin = time.perf_counter()
    await running.stop()
    assert time.perf_counter() - begin < 10
    assert (await asyncio.gather(long, return_exceptions=True))[0] is not None


async def test_another_port_if_the_address_is_taken(storage: EmbeddedStorage, engine_settings: Settings) -> None:
    """A taken address does not stop the sink. While it runs, a file in the directory holds the actual address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        running = SqlServer(engine_settings.model_copy(update={"sql_address": address}), storage)
        await running.start()
        assert running.address != address
        assert await asyncio.to_thread(run_query, engine_settings, "SELECT count() FROM trades") == b"0\n"
        await running.stop()
    assert not (Path(engine_settings.clickhouse.removeprefix("chdb://")) / "sql_address").exists()


async def test_run_query_opens_a_directory_without_owner(tmp_path: Path) -> None:
    """Without a sink the directory itself is opened. The address file of a killed sink does no harm."""
    settings = load_settings(clickhouse=f"chdb://{tmp_path}/a", sql_address=f"127.0.0.1:{free_port()}")
    with pytest.raises(StorageError, match="there is no ClickHouse data"):
        run_query(settings, "SELECT 1")
    store = EmbeddedStorage(settings)
    store.execute("CREATE DATABASE marketprism")
    store.execute("CREATE TABLE marketprism.t ENGINE = MergeTree ORDER BY x AS SELECT 7 AS x")
    store.close()
    assert run_query(settings, "SELECT x FROM t", "CSV") == b"7\n"
    (tmp_path / "a" / "sql_address").write_text("127.0.0.1:1\n")
    assert run_query(settings, "SELECT x FROM t", "JSONEachRow") == b'{"x":7}\n'
    with pytest.raises(StorageError, match="Code: 164"):
        run_query(settings, "INSERT INTO t VALUES (8)")


async def test_a_server_of_another_directory_is_not_trusted(
    server: SqlServer, engine_settings: Settings, tmp_path: Path
) -> None:
    """A server that is asked for another directory's data returns 421 instead of its own data."""
    expected = {"X-MarketPrism-Data": f"{tmp_path}/another"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"http://{server.address}/", data=b"SELECT 1", headers=expected) as answer,
    ):
        assert answer.status == 421
    assert await asyncio.to_thread(run_query, engine_settings, "SELECT count() FROM trades") == b"5\n"


async def test_an_embedded_clickhouse_is_no_server(server: SqlServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A query for a ClickHouse server is refused where a sink answers at the server's HTTP port."""
    monkeypatch.setitem(sinks.sql.client._HTTP_PORTS, "clickhouse", int(server.address.rpartition(":")[2]))
    settings = load_settings(clickhouse="clickhouse://127.0.0.1:9000")
    with pytest.raises(StorageError, match=r"is not the server of the setting `clickhouse`.*sql_address"):
        await asyncio.to_thread(run_query, settings, "SELECT 1")


async def test_the_directory_of_a_running_stack_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a stack holds the lock, the directory is not opened. Once the lock is free or its file gone, it is."""
    monkeypatch.setattr(sinks.sql.client, "_START_TIMEOUT", 0.5)
    settings = load_settings(clickhouse=f"chdb://{tmp_path}/clickhouse", sql_address=f"127.0.0.1:{free_port()}")
    EmbeddedStorage(settings).close()
    with (tmp_path / "stack.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = psutil.Process().num_fds(), psutil.Process().num_threads()
        for _ in range(3):
            with pytest.raises(StorageError, match="is starting or restarting: try again"):
                run_query(settings, "SELECT 1")
        assert (psutil.Process().num_fds(), psutil.Process().num_threads()) == before
        EmbeddedStorage(settings).close()  # the sink itself can still open it
    assert run_query(settings, "SELECT 1") == b"1\n"
    (tmp_path / "stack.lock").unlink()
    assert run_query(settings, "SELECT 1") == b"1\n"


async def test_an_unresponsive_owner_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No response, a malformed one, and a truncated one raise `StorageError`, not a socket error."""
    monkeypatch.setattr(sinks.sql.client, "_TIMEOUT", 0.3)
    settings = load_settings(clickhouse=f"chdb://{tmp_path}/clickhouse")
    (tmp_path / "clickhouse").mkdir()
    for answer in (b"", b"malformed\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n1"):

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: bytes = answer) -> None:
            await reader.read(65_536)  # unread bytes would reset the connection, as if the owner had died
            writer.write(answer)
            await asyncio.sleep(0 if answer else 2)
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        (tmp_path / "clickhouse" / "sql_address").write_text(f"127.0.0.1:{port}\n")
        with pytest.raises(StorageError, match="does not answer at"):
            await asyncio.to_thread(run_query, settings, "SELECT 1")
        server.close()
