"""Serve read-only SQL over HTTP for the embedded ClickHouse, like ClickHouse's own HTTP interface.

Supported: `POST /` with the query as the body, `GET /?query=…`, `?default_format=`, `FORMAT` in the query,
`?param_name=` for `{name:Type}`, and `/ping`. An error is text that begins with `Code: N.`, or that says what is wrong
with the request.

`POST /retention` drops what is past the retention, which only this process may do. It needs the header of
`sinks/directory.py`, which no page of another site can send.
"""

import asyncio
import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

import msgspec
import structlog
from aiohttp import web

from schemas.errors import StorageError
from schemas.origins import own_hosts_only
from schemas.settings import Settings
from sinks.directory import ADDRESS_FILE, DATA_HEADER, directory_of
from sinks.retention import drop_expired
from sinks.sql.query_pool import BusyError, QueryPool
from sinks.storage.base import Storage

_MAX_QUERY = 1 << 20  # bytes
_READ_S = 10.0  # maximum time for a client to send its request
_IDLE_S = 30  # maximum time that a connection stays open without a request
_CHUNK = 1 << 16  # bytes of a response that are written at a time
_MIN_WRITE_RATE = 1_000_000  # bytes/s that a client must receive, after the first `_READ_S`
_HTTP_STATUS = {  # by ClickHouse error code; all others are errors of the query: 400
    0: 500, 49: 500, 1001: 500, 1002: 500,  # internal errors
    60: 404, 81: 404, 46: 404, 47: 404,  # unknown table, database, function, column
    164: 403, 159: 408,  # read-only, timeout
    241: 503, 243: 503, 394: 503,  # out of memory, disk full, cancelled
}  # fmt: skip
_CONTENT_TYPES = {"TabSeparated": "text/tab-separated-values", "TSV": "text/tab-separated-values", "CSV": "text/csv"}
_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_NO_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

log = structlog.get_logger(__name__)


class _Query(NamedTuple):
    """A client's query."""

    text: str
    output_format: str
    parameters: dict[str, str]


class SqlServer:
    """HTTP server on `settings.sql_address`, or on another port if that is taken.

    The file `DIR/sql_address` holds the actual address.
    """

    def __init__(self, settings: Settings, storage: Storage) -> None:
        self._settings = settings
        self._directory = directory_of(settings)
        self._storage = storage
        self._pool = QueryPool(self._directory, settings.database, storage)
        self._runner: web.AppRunner | None = None
        self.address = ""

    async def start(self) -> None:
        await self._pool.start()
        host, _, port = self._settings.sql_address.rpartition(":")
        guard = own_hosts_only(host, self._settings.sql_hosts)
        app = web.Application(client_max_size=_MAX_QUERY, middlewares=[guard])
        app.router.add_get("/ping", self._ping)
        app.router.add_post("/ping", self._ping)
        app.router.add_get("/", self._query, allow_head=False)
        app.router.add_post("/", self._query)
        app.router.add_post("/retention", self._retention)
        # When a client disconnects, its handler and therefore its query are cancelled.
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=2.0, handler_cancellation=True, keepalive_timeout=_IDLE_S
        )
        await self._runner.setup()
        try:
            bound = await self._listen(host, int(port))
        except OSError as error:
            bound = await self._listen(host, 0)
            log.warning("SQL address is taken, using another port", wanted=self._settings.sql_address, port=bound,
                        reason=str(error))  # fmt: skip
        self.address = f"{host}:{bound}"
        (self._directory / ADDRESS_FILE).write_text(self.address + "\n")
        log.info("serving SQL", address=f"http://{self.address}/")

    async def stop(self) -> None:
        (self._directory / ADDRESS_FILE).unlink(missing_ok=True)
        await self._pool.kill_all()  # long queries would delay the shutdown
        if self._runner is not None:
            await self._runner.cleanup()
        await self._pool.stop()

    async def _listen(self, host: str, port: int) -> int:
        assert self._runner is not None
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        return int(self._runner.addresses[-1][1])

    async def _ping(self, request: web.Request) -> web.Response:
        return web.Response(text="Ok.\n")

    async def _query(self, request: web.Request) -> web.StreamResponse:
        if not self._is_meant(request.headers.get(DATA_HEADER) or str(self._directory.resolve())):
            return self._misdirected()
        query = await _read_query(request)
        if not query.text.strip():
            return web.Response(text="Ok.\n")
        try:
            async with self._pool.run(*query) as result:
                return await _send(request, result, _headers(query))
        except BusyError as error:
            return web.Response(status=503, text=f"{error}\n", headers={"Retry-After": "1"})
        except StorageError as error:
            return _error_response(str(error))

    async def _retention(self, request: web.Request) -> web.Response:
        if not self._is_meant(request.headers.get(DATA_HEADER)):
            return self._misdirected()
        try:
            tables = await asyncio.to_thread(drop_expired, self._storage, self._settings)
        except StorageError as error:
            return _error_response(str(error))
        return web.Response(body=msgspec.json.encode(tables), content_type="application/json")

    def _is_meant(self, directory: str | None) -> bool:
        return directory == str(self._directory.resolve())

    def _misdirected(self) -> web.Response:
        return web.Response(status=421, text=f"this server owns {self._directory.resolve()}\n")


async def _read_query(request: web.Request) -> _Query:
    """Read the query from a request. Raise aiohttp's 400, 408 or 413."""
    try:
        _check_query_string(request.rel_url.raw_query_string)
        body = (await asyncio.wait_for(request.read(), _READ_S)).decode()
    except UnicodeDecodeError as error:
        raise web.HTTPBadRequest(text=f"the request is not UTF-8: {error.reason} at byte {error.start}\n") from None
    except web.RequestPayloadError as error:
        raise web.HTTPBadRequest(text=f"cannot read the body: {error}"[:200] + "\n") from None
    except TimeoutError:
        raise web.HTTPRequestTimeout(text=f"the request was not sent within {_READ_S:.0f} s\n") from None
    values = request.query
    return _Query(
        "\n".join(part for part in (values.get("query", ""), body) if part),
        values.get("default_format") or request.headers.get("X-ClickHouse-Format") or "TabSeparated",
        {name.removeprefix("param_"): value for name, value in values.items() if name.startswith("param_")},
    )


def _check_query_string(query_string: str) -> None:
    if _NO_ESCAPE.search(query_string):
        raise web.HTTPBadRequest(text="the URL contains a % that is not followed by two hexadecimal digits\n")
    unquote_to_bytes(query_string).decode()


async def _send(request: web.Request, result: bytes, headers: dict[str, str]) -> web.StreamResponse:
    """Send the result. Close the connection of a client that receives it too slowly."""
    response = web.StreamResponse(headers=headers)
    response.content_length = len(result)
    try:
        async with asyncio.timeout(_READ_S + len(result) / _MIN_WRITE_RATE):
            await response.prepare(request)
            for start in range(0, len(result), _CHUNK):
                await response.write(result[start : start + _CHUNK])
            await response.write_eof()
    except TimeoutError:
        log.warning("client received its result too slowly", bytes=len(result))
        if request.transport is not None:
            request.transport.abort()
    return response


def _headers(query: _Query) -> dict[str, str]:
    found = _FORMAT.search(query.text)
    name = found[1] if found else query.output_format
    content_type = "application/json" if name.startswith("JSON") else _CONTENT_TYPES.get(name, "text/plain")
    return {"Content-Type": f"{content_type}; charset=UTF-8", "X-ClickHouse-Format": name}


def _error_response(text: str) -> web.Response:
    found = re.search(r"Code: (\d+)\.", text)
    code = int(found[1]) if found else 0
    # The engine also looks for a file with the name of an unknown table.
    status = 404 if "File name too long" in text else _HTTP_STATUS.get(code, 400)
    headers = {"X-ClickHouse-Exception-Code": str(code)} | ({"Retry-After": "1"} if status == 503 else {})
    return web.Response(status=status, text=text.rstrip() + "\n", headers=headers)
