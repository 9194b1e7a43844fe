"""One query, from outside the sink: over HTTP to whoever owns the data, else by opening the directory to read.

A directory that belongs to a running stack is its sink's alone, also while the sink is restarting: a reader would hold
the lock against it.
"""

import contextlib
import fcntl
import http.client
import time
from pathlib import Path
from urllib.parse import unquote, urlencode, urlsplit

from schemas.errors import StorageError
from schemas.settings import Settings
from sinks.sql.http_server import DATA_HEADER, running_address
from sinks.sql.read_only import Reader
from sinks.storage.embedded import directory_of

_TIMEOUT = 70.0  # s; the engine ends a query after 60
_START_TIMEOUT = 10.0  # s that a sink may take from owning the directory to answering
_STACK_LOCK = "stack.lock"  # beside the directory, held by the stack that runs there
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
        if not _stack_runs(directory):
            with contextlib.suppress(StorageError):  # somebody owns it, but does not answer yet
                reader = Reader(directory, settings.database)
                break
        if time.monotonic() > deadline:
            raise StorageError(f"ClickHouse of {directory} is starting or restarting: try again")
        time.sleep(0.2)
    try:
        return reader.ask(query, output)
    finally:
        reader.close()


def _stack_runs(directory: Path) -> bool:
    """Whether a stack holds the lock of the data directory. A lock file that nobody holds is left from a killed one."""
    try:
        with (directory.parent / _STACK_LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


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
    except (OSError, http.client.HTTPException) as error:  # a time limit among them
        raise StorageError(f"ClickHouse of {directory} does not answer at {address}: {_text(error)}") from None


def _ask_server(settings: Settings, query: str, output: str) -> bytes:
    url = urlsplit(settings.clickhouse)
    kind = http.client.HTTPSConnection if url.scheme == "clickhouses" else http.client.HTTPConnection
    connection = kind(url.hostname or "127.0.0.1", _HTTP_PORTS[url.scheme], timeout=_TIMEOUT)
    headers = {"X-ClickHouse-User": unquote(url.username or "default"), "X-ClickHouse-Key": unquote(url.password or "")}
    parameters = {"default_format": output, "database": settings.database, "readonly": "1"}
    try:
        return _post(connection, parameters, query, headers)
    except (OSError, http.client.HTTPException) as error:
        address = f"{connection.host}:{connection.port}"
        raise StorageError(f"ClickHouse's HTTP interface at {address}: {_text(error)}") from None


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__


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
