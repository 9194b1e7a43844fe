"""Run one query outside the sink: over HTTP if a process owns the data, otherwise by opening the directory.

The directory of a running stack is opened only by its sink, even while the sink is restarting: otherwise this process
could hold the engine's lock when the sink needs it.
"""

import contextlib
import http.client
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlencode, urlsplit

from schemas.errors import StorageError
from schemas.settings import Settings
from sinks.directory import DATA_HEADER, directory_of, running_address
from sinks.stack_lock import is_in_use

if TYPE_CHECKING:
    from sinks.sql.read_only import ReadOnlyConnection

_TIMEOUT = 70.0  # s; the engine stops a query after 60
_START_TIMEOUT = 10.0  # s from when a sink opens the directory until it answers
_HTTP_PORTS = {"clickhouse": 8123, "clickhouses": 8443}  # ClickHouse's default ports


class _Misdirected(Exception):
    """The answering process owns another directory."""


def run_query(
    settings: Settings, query: str, output_format: str = "TabSeparated", parameters: Mapping[str, str] | None = None
) -> bytes:
    """Run one read-only query and return the result in a ClickHouse format. Raise `StorageError` if it fails.

    `parameters`: values of `{name:Type}` in the query.
    """
    given = parameters or {}
    options = {"default_format": output_format} | {f"param_{name}": value for name, value in given.items()}
    if not settings.clickhouse.startswith("chdb://"):
        return _query_server(settings, query, options)
    directory = directory_of(settings)
    if not directory.exists():
        raise StorageError(
            f"there is no ClickHouse data in {directory}, and nothing is running: start `marketprism demo` or `live`, "
            "or name the data of a finished run with --data"
        )
    deadline = time.monotonic() + _START_TIMEOUT
    while True:
        answer = ask_owner(directory, _path(options), query)
        if answer is not None:
            return answer
        if not is_in_use(directory.parent):
            with contextlib.suppress(StorageError):  # another process owns it and does not answer yet
                connection = _open(directory, settings.database)
                break
        if time.monotonic() > deadline:
            raise StorageError(f"ClickHouse in {directory} is starting or restarting: try again")
        time.sleep(0.2)
    try:
        return connection.run(query, output_format, given)
    finally:
        connection.close()


def _open(directory: Path, database: str) -> "ReadOnlyConnection":
    from sinks.sql.read_only import ReadOnlyConnection  # with the engine, which other queries do without

    return ReadOnlyConnection(directory, database)


def ask_owner(directory: Path, path: str, body: str) -> bytes | None:
    """Send a request to the process that owns the directory. Return its answer, or None if there is no such process."""
    address = running_address(directory)
    if not address:
        return None
    connection = http.client.HTTPConnection(address, timeout=_TIMEOUT)
    try:
        return _post(connection, path, body, {DATA_HEADER: str(directory.resolve())})
    except (ConnectionError, _Misdirected):  # a killed owner left the address file
        return None
    except (OSError, http.client.HTTPException) as error:  # timeouts included
        raise StorageError(f"ClickHouse in {directory} does not answer at {address}: {_text(error)}") from None


def _query_server(settings: Settings, query: str, options: dict[str, str]) -> bytes:
    url = urlsplit(settings.clickhouse)
    connect = http.client.HTTPSConnection if url.scheme == "clickhouses" else http.client.HTTPConnection
    connection = connect(url.hostname or "127.0.0.1", _HTTP_PORTS[url.scheme], timeout=_TIMEOUT)
    headers = {
        "X-ClickHouse-User": unquote(url.username or "default"),
        "X-ClickHouse-Key": unquote(url.password or ""),
        DATA_HEADER: "none",  # a sink with an embedded ClickHouse that has this port refuses the query
    }
    try:
        path = _path(options | {"database": settings.database, "readonly": "1"})
        return _post(connection, path, query, headers)
    except _Misdirected:
        raise StorageError(
            f"{connection.host}:{connection.port} is not the server of the setting `clickhouse`: a sink with an "
            "embedded ClickHouse answers there; set its `sql_address` to another port"
        ) from None
    except (OSError, http.client.HTTPException) as error:
        address = f"{connection.host}:{connection.port}"
        raise StorageError(f"cannot query ClickHouse's HTTP interface at {address}: {_text(error)}") from None


def _path(options: dict[str, str]) -> str:
    return "/?" + urlencode(options)


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__


def _post(connection: http.client.HTTPConnection, path: str, body: str, headers: dict[str, str]) -> bytes:
    try:
        connection.request("POST", path, body.encode(), headers)
        response = connection.getresponse()
        answer = response.read()
    finally:
        connection.close()
    if response.status == 421:
        raise _Misdirected
    if response.status != 200:
        raise StorageError(answer.decode(errors="replace").strip())
    return answer
