"""One query, from outside the sink: over HTTP to whoever owns the data, else by opening the directory to read."""

import http.client
import time
from pathlib import Path
from urllib.parse import unquote, urlencode, urlsplit

from schemas.errors import StorageError
from schemas.settings import Settings
from sinks.embedded import directory_of
from sinks.reader import Reader
from sinks.sql_server import DATA_HEADER, running_address

_TIMEOUT = 70.0  # s; the engine ends a query after 60
_START_TIMEOUT = 10.0  # s that a sink may take from owning the directory to answering
_HTTP_PORTS = {"clickhouse": 8123, "clickhouses": 8443}  # ClickHouse's own


class _Misdirected(Exception):
    """Who answers owns other data."""


def run_query(settings: Settings, query: str, output: str = "TabSeparated") -> bytes:
    """The answer to one reading query, in a ClickHouse format; `StorageError` says why there is none."""
    if not settings.clickhouse.startswith("chdb://"):
        return _ask_server(settings, query, output)
    directory = directory_of(settings)
    if not directory.exists():
        raise StorageError(f"there is no ClickHouse data in {directory}: start `marketprism demo` or `live` first")
    deadline = time.monotonic() + _START_TIMEOUT
    while True:
        answer = _ask_owner(directory, query, output)
        if answer is not None:
            return answer
        try:
            reader = Reader(directory, settings.database)
            break
        except StorageError:  # somebody owns it, but does not answer yet
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
    try:
        return reader.ask(query, output)
    finally:
        reader.close()


def _ask_owner(directory: Path, query: str, output: str) -> bytes | None:
    """None where nobody answers."""
    address = running_address(directory)
    if not address:
        return None
    connection = http.client.HTTPConnection(address, timeout=_TIMEOUT)
    try:
        return _post(connection, {"default_format": output}, query, {DATA_HEADER: str(directory.resolve())})
    except (ConnectionError, _Misdirected):  # its owner was killed: nobody removed the file
        return None


def _ask_server(settings: Settings, query: str, output: str) -> bytes:
    url = urlsplit(settings.clickhouse)
    kind = http.client.HTTPSConnection if url.scheme == "clickhouses" else http.client.HTTPConnection
    connection = kind(url.hostname or "127.0.0.1", _HTTP_PORTS[url.scheme], timeout=_TIMEOUT)
    headers = {"X-ClickHouse-User": unquote(url.username or "default"), "X-ClickHouse-Key": unquote(url.password or "")}
    parameters = {"default_format": output, "database": settings.database, "readonly": "1"}
    try:
        return _post(connection, parameters, query, headers)
    except OSError as error:
        raise StorageError(f"ClickHouse's HTTP interface at {connection.host}:{connection.port}: {error}") from None


def _post(
    connection: http.client.HTTPConnection, parameters: dict[str, str], query: str, headers: dict[str, str]
) -> bytes:
    try:
        connection.request("POST", "/?" + urlencode(parameters), query.encode(), headers)
        response = connection.getresponse()
        answer = response.read()
    finally:
        connection.close()
    if response.status == 421:
        raise _Misdirected
    if response.status != 200:
        raise StorageError(answer.decode(errors="replace").strip())
    return answer
