"""SQL over HTTP with clients that disconnect, flood, are slow, send malformed requests, or are other sites' pages."""

import asyncio
import contextlib
import gzip
import time
from collections.abc import AsyncIterator

import aiohttp
import psutil
import pytest

import sinks.sql.http_server
from schemas.settings import Settings
from sinks.sql.http_server import SqlServer
from sinks.sql.query_pool import MAX_RUNNING, MAX_WAITING
from sinks.storage.embedded import EmbeddedStorage

HEAVY = "SELECT count() FROM (SELECT number, toString(number) AS s FROM numbers(300000000) ORDER BY sipHash64(s))"
ENDLESS = "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))"


@pytest.fixture
async def server(storage: EmbeddedStorage, engine_settings: Settings) -> AsyncIterator[SqlServer]:
    running = SqlServer(engine_settings.model_copy(update={"sql_hosts": ("prism.example", "proxy:80")}), storage)
    await running.start()
    yield running
    await running.stop()


async def ask(server: SqlServer, body: str | bytes = "", path: str = "/", **headers: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"http://{server.address}{path}", data=body, headers=headers) as answer,
    ):
        return answer.status, await answer.text()


async def raw(server: SqlServer, request: bytes) -> bytes:
    """Send bytes and return the response, up to the end of the connection."""
    host, _, port = server.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), 20)
    finally:
        writer.close()


def post(server: SqlServer, body: bytes, *headers: str, method: str = "POST", path: str = "/") -> bytes:
    lines = (f"{method} {path} HTTP/1.1", f"Host: {server.address}", "Connection: close", *headers)
    return "\r\n".join((*lines, f"Content-Length: {len(body)}", "", "")).encode() + body


# Clients that disconnect


async def test_a_query_is_killed_when_its_client_disconnects(server: SqlServer, storage: EmbeddedStorage) -> None:
    """After a hundred heavy queries whose clients have disconnected, others run at once, and memory stays bounded."""
    process = psutil.Process()
    before, most = process.memory_info().rss, 0
    asking = [asyncio.create_task(ask(server, (HEAVY, ENDLESS)[n % 2])) for n in range(100)]
    for _ in range(20):
        await asyncio.sleep(0.1)
        most = max(most, process.memory_info().rss)
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    begin = time.perf_counter()
    assert await ask(server, "SELECT 1") == (200, "1\n")
    assert time.perf_counter() - begin < 10
    assert most - before < 3_000_000_000
    left = "SELECT count() FROM system.processes WHERE startsWith(Settings['log_comment'], 'marketprism-reader-')"
    deadline = time.monotonic() + 10
    while (await asyncio.to_thread(storage.query, left)) != [[0]]:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


async def test_only_the_query_of_the_disconnected_client_is_killed(server: SqlServer) -> None:
    """Other clients get their results, even on a connection on which a query was killed."""
    staying = asyncio.create_task(ask(server, "SELECT sleepEachRow(0.1) + 1 FROM numbers(20) FORMAT Null"))
    for _ in range(MAX_RUNNING * 3):
        leaving = asyncio.create_task(ask(server, ENDLESS))
        await asyncio.sleep(0.05)
        leaving.cancel()
        assert (await ask(server, "SELECT 2"))[1] == "2\n"
    assert await staying == (200, "")


async def test_queries_beyond_the_limit_are_rejected(server: SqlServer) -> None:
    """Queries beyond the running and waiting ones get 503 with Retry-After. Later queries succeed."""
    clients = [asyncio.create_task(ask(server, ENDLESS)) for _ in range(MAX_RUNNING + MAX_WAITING)]
    await asyncio.sleep(1)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"http://{server.address}/", data="SELECT 1") as answer,
    ):
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert "try again" in await answer.text()
    for client in clients:
        client.cancel()
    await asyncio.gather(*clients, return_exceptions=True)
    assert await ask(server, "SELECT 1") == (200, "1\n")


async def test_memory_of_one_query_is_bounded(server: SqlServer) -> None:
    """A query that exceeds the limit fails with an error. One that only sorts or groups more data succeeds."""
    status, text = await ask(server, "SELECT length(groupArray(toString(number))) FROM numbers(100000000)")
    assert status == 503
    assert text.startswith("Code: 241.")
    groups = "SELECT count() FROM (SELECT number % 4000000 AS n, count() FROM numbers(8000000) GROUP BY n)"
    assert await ask(server, groups) == (200, "4000000\n")


async def test_a_failed_query_leaves_no_output(server: SqlServer) -> None:
    """The partial output of a query that ran out of memory is not part of the next result."""
    for _ in range(4):
        status, text = await ask(server, "SELECT repeat('x', 1000) FROM numbers(95000) ORDER BY sipHash64(number)")
        assert (status, text.strip("x\n")) == (200, "")
        statuses = [
            ask(server, "SELECT repeat('x', 1000), repeat('y', 4000) FROM numbers(600000)") for _ in range(MAX_RUNNING)
        ]
        assert {status for status, _ in await asyncio.gather(*statuses)} <= {400, 503}
        answers = [ask(server, "SELECT 1") for _ in range(2 * MAX_RUNNING)]
        assert await asyncio.gather(*answers) == [(200, "1\n")] * 2 * MAX_RUNNING


# Slow clients


async def test_a_slow_request_times_out(server: SqlServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that announces a body and does not send it gets 408 and occupies no connection."""
    monkeypatch.setattr(sinks.sql.http_server, "_READ_S", 0.3)
    assert b" 408 " in await raw(server, post(server, b"SELECT 1").replace(b"Content-Length: 8", b"Content-Length: 9"))


async def test_idle_connections_are_closed(
    storage: EmbeddedStorage, engine_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection without a complete request is closed after the idle timeout."""
    monkeypatch.setattr(sinks.sql.http_server, "_IDLE_S", 0.5)
    running = SqlServer(engine_settings, storage)
    await running.start()
    assert await raw(running, b"") == b""
    assert await raw(running, b"POST / HTTP/1.1\r\nHost: ") == b""
    await running.stop()


async def test_a_result_that_is_not_received_is_dropped(server: SqlServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that do not read large results occupy their connections only until the timeout."""
    monkeypatch.setattr(sinks.sql.http_server, "_READ_S", 0.3)
    monkeypatch.setattr(sinks.sql.http_server, "_MIN_WRITE_RATE", 1_000_000_000)
    large = post(server, b"SELECT repeat('x', 1000) FROM numbers(50000)")
    host, _, port = server.address.rpartition(":")
    stalled = [await asyncio.open_connection(host, int(port), limit=1) for _ in range(MAX_RUNNING * 2)]
    for _, writer in stalled:
        writer.write(large)
    await asyncio.sleep(0.5)
    assert await asyncio.wait_for(ask(server, "SELECT 1"), 10) == (200, "1\n")
    for _, writer in stalled:
        writer.close()


# Malformed requests


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"SELECT '\xff\xfe'", ()),
        (b"SELECT 1", ("Content-Encoding: gzip",)),
        (gzip.compress(b"SELECT 1", mtime=0)[:-12] + b"garbage", ("Content-Encoding: gzip",)),
        (b"\x00\x01", ("Content-Encoding: deflate",)),
        (b"SELECT '\xd0'", ("Content-Type: text/plain; charset=koi8-r",)),
        (b"SELECT 1" + b"(" * 100_000, ()),
        (b"\xf0\x9f\x92\xa9", ()),
        (b"SELECT 1 FORMAT Nonsense", ()),
        (b"SELECT {x:UInt8}", ()),
        (b"SELECT toInt8('x')", ()),
        (b"SELECT throwIf(1)", ()),
    ],
)
async def test_malformed_bodies_get_400(server: SqlServer, body: bytes, headers: tuple[str, ...]) -> None:
    """A body that cannot be decoded, or is not a valid query, gets 400. The next query succeeds."""
    answer = await raw(server, post(server, body, *headers))
    assert answer.split(b" ")[1] == b"400", answer[:300]
    assert await ask(server, "SELECT 1") == (200, "1\n")


@pytest.mark.parametrize("query", ["query=%zz", "query=SELECT%201%", "query=SELECT%20%27%ff%27", "param_a=%ff&query=1"])
async def test_malformed_urls_get_400(server: SqlServer, query: str) -> None:
    """Percent signs without digits, and bytes that are not UTF-8, get 400."""
    answer = await raw(server, post(server, b"", path=f"/?{query}", method="GET"))
    assert answer.split(b" ")[1] == b"400", answer[:300]


async def test_gzip_bodies_are_accepted(server: SqlServer) -> None:
    """A gzip body is decoded. One that exceeds the size limit when decoded gets 413."""
    answer = await raw(server, post(server, gzip.compress(b"SELECT 7"), "Content-Encoding: gzip"))
    assert answer.endswith(b"\r\n\r\n7\n")
    bomb = gzip.compress(b"SELECT 7" + b" " * 200_000_000)
    assert b" 413 " in await raw(server, post(server, bomb, "Content-Encoding: gzip"))


async def test_large_bodies_are_rejected(server: SqlServer) -> None:
    """A body of more than 1 MB gets 413."""
    assert (await ask(server, "SELECT 1" + " " * (1 << 20)))[0] == 413


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "HEAD", "PROPFIND"])
async def test_other_methods_are_rejected(server: SqlServer, method: str) -> None:
    """Other methods get 405 with the list of allowed methods."""
    answer = await raw(server, post(server, b"SELECT 1", method=method))
    assert answer.startswith(b"HTTP/1.1 405 "), answer[:300]
    assert b"\r\nAllow: GET,POST\r\n" in answer


@pytest.mark.parametrize(
    "query",
    [
        "{}",
        "SELECT {}",
        "SELECT '{}' + 1",
        "SELECT * FROM {}",
        "SELECT 1; SELECT '{}'",
        "SELECT throwIf(1, '{}')",
        "DROP TABLE {}",
    ],
)
@pytest.mark.parametrize("length", [1_000, 1_000_000])
async def test_a_rejected_query_is_not_echoed(server: SqlServer, query: str, length: int) -> None:
    """An error message repeats at most 200 characters of a long query."""
    status, text = await ask(server, query.format("a" * length))
    assert status >= 400
    assert text.startswith("Code: ")
    assert status != 500, text
    assert "a" * 201 not in text
    assert len(text) < 400


# Other sites' pages


@pytest.mark.parametrize("path", ["/", "/ping", "/nothing"])
async def test_other_sites_are_rejected(server: SqlServer, path: str) -> None:
    """A host name that is not the server's own, as after DNS rebinding, and a foreign origin are rejected."""
    port = server.address.rpartition(":")[2]
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", "127.0.0.1:1", f"127.0.0.1.evil.example:{port}",
                 "", f"[::2]:{port}", f"127.0.0.1:{port}@evil.example", "proxy:81"):  # fmt: skip
        status, text = await ask(server, "SELECT 1", path, Host=host)
        assert (status, "1\n" in text) == (403, False), host
    for origin in ("https://evil.example", f"http://evil.example:{port}", "null", "http://127.0.0.1", "file://"):
        assert (await ask(server, "SELECT 1", path, Origin=origin))[0] == 403, origin


async def test_own_and_listed_hosts_are_accepted(server: SqlServer) -> None:
    """Loopback names with the port, listed names, and pages of the server's own origin are accepted."""
    port = server.address.rpartition(":")[2]
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"LocalHost:{port}", f"[::1]:{port}",
                 "prism.example", "Prism.Example:9999", "proxy:80", "proxy"):  # fmt: skip
        assert await ask(server, "SELECT 1", Host=host) == (200, "1\n"), host
        assert await ask(server, "SELECT 1", Host=host, Origin=f"http://{host}") == (200, "1\n"), host


async def test_requests_need_exactly_one_host(server: SqlServer) -> None:
    """Requests without a Host header, or with two, are rejected."""
    for request in (
        b"GET /?query=SELECT+1 HTTP/1.0\r\n\r\n",
        b"GET /?query=SELECT+1 HTTP/1.1\r\nConnection: close\r\n\r\n",
        post(server, b"SELECT 1", "Host: evil.example"),
    ):
        with contextlib.suppress(ConnectionError):
            assert (await raw(server, request)).split(b" ")[1] in (b"400", b"403")
