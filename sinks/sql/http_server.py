"""SQL over HTTP for the embedded ClickHouse, in the shape of ClickHouse's own HTTP interface; it only reads.

`POST /` with the query as the body, `GET /?query=…`, `?default_format=`, `FORMAT` in the query, `?param_name=` for
`{name:Type}`, `/ping`. An error is text that begins with `Code: N.`, or says what is wrong with the request.
"""

import asyncio
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

import structlog
from aiohttp import web

from schemas.errors import StorageError
from schemas.origins import own_hosts_only
from schemas.settings import Settings
from sinks.sql.query_pool import BusyError, QueryPool
from sinks.storage.base import Storage
from sinks.storage.embedded import directory_of

ADDRESS_FILE = "sql_address"
DATA_HEADER = "X-MarketPrism-Data"  # the directory that a client means: an old address may lead to another's
_MAX_QUERY = 1 << 20  # bytes
_READ_S = 10.0  # s that a client may take to send its request
_IDLE_S = 30  # s that a connection may be open without a request
_CHUNK = 1 << 16  # bytes of an answer that are sent at a time
_WRITE_RATE = 1_000_000  # bytes/s at which a client must at least take its answer, after the first `_READ_S`
_STATUS = {  # of ClickHouse's errors; all others are the query's: 400
    0: 500, 49: 500, 1001: 500, 1002: 500,  # it is broken
    60: 404, 81: 404, 46: 404, 47: 404,  # no such table, database, function, column
    164: 403, 159: 408,  # it would write; it took too long
    241: 503, 243: 503, 394: 503,  # no memory, no disk, ended
}  # fmt: skip
_CONTENT_TYPES = {"TabSeparated": "text/tab-separated-values", "TSV": "text/tab-separated-values", "CSV": "text/csv"}
_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_NO_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

log = structlog.get_logger(__name__)


class _Question(NamedTuple):
    """What a client asks."""

    query: str
    output: str
    parameters: dict[str, str]


class SqlServer:
    """Answers on `settings.sql_address`, or another port where that is taken; `DIR/sql_address` says where."""

    def __init__(self, settings: Settings, storage: Storage) -> None:
        self._settings = settings
        self._directory = directory_of(settings)
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
        # A client that leaves cancels its handler, and so its query.
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=2.0, handler_cancellation=True, keepalive_timeout=_IDLE_S
        )
        await self._runner.setup()
        try:
            bound = await self._listen(host, int(port))
        except OSError as error:
            bound = await self._listen(host, 0)
            log.warning("the SQL address is taken, another port is used", wanted=self._settings.sql_address, port=bound,
                        reason=str(error))  # fmt: skip
        self.address = f"{host}:{bound}"
        (self._directory / ADDRESS_FILE).write_text(self.address + "\n")
        log.info("SQL is answered", address=f"http://{self.address}/")

    async def stop(self) -> None:
        (self._directory / ADDRESS_FILE).unlink(missing_ok=True)
        await self._pool.kill_all()  # a long one would hold up the stop
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
        wanted = request.headers.get(DATA_HEADER)
        if wanted and wanted != str(self._directory.resolve()):
            return web.Response(status=421, text=f"this is the ClickHouse of {self._directory.resolve()}\n")
        question = await _question(request)
        if not question.query.strip():
            return web.Response(text="Ok.\n")
        try:
            async with self._pool.answer(*question) as answer:
                return await _send(request, answer, _headers(question))
        except BusyError as error:
            return web.Response(status=503, text=f"{error}\n", headers={"Retry-After": "1"})
        except StorageError as error:
            return _failure(str(error))


async def _question(request: web.Request) -> _Question:
    """Read the request; raises aiohttp's 400, 408 and 413."""
    try:
        _readable(request.rel_url.raw_query_string)
        body = (await asyncio.wait_for(request.read(), _READ_S)).decode()
    except UnicodeDecodeError as error:
        raise web.HTTPBadRequest(text=f"the request is not UTF-8: {error.reason} at byte {error.start}\n") from None
    except web.RequestPayloadError as error:
        raise web.HTTPBadRequest(text=f"the body cannot be read: {error}"[:200] + "\n") from None
    except TimeoutError:
        raise web.HTTPRequestTimeout(text=f"the request was not sent within {_READ_S:.0f} s\n") from None
    values = request.query
    return _Question(
        "\n".join(part for part in (values.get("query", ""), body) if part),
        values.get("default_format") or request.headers.get("X-ClickHouse-Format") or "TabSeparated",
        {name.removeprefix("param_"): value for name, value in values.items() if name.startswith("param_")},
    )


def _readable(query_string: str) -> None:
    if _NO_ESCAPE.search(query_string):
        raise web.HTTPBadRequest(text="the address has a % without two hexadecimal digits behind it\n")
    unquote_to_bytes(query_string).decode()


async def _send(request: web.Request, answer: bytes, headers: dict[str, str]) -> web.StreamResponse:
    """Send the answer to a client that takes it; of one that does not, the connection is closed."""
    response = web.StreamResponse(headers=headers)
    response.content_length = len(answer)
    try:
        async with asyncio.timeout(_READ_S + len(answer) / _WRITE_RATE):
            await response.prepare(request)
            for start in range(0, len(answer), _CHUNK):
                await response.write(answer[start : start + _CHUNK])
            await response.write_eof()
    except TimeoutError:
        log.warning("a client does not take its answer", bytes=len(answer))
        if request.transport is not None:
            request.transport.abort()
    return response


def _headers(question: _Question) -> dict[str, str]:
    found = _FORMAT.search(question.query)
    output = found[1] if found else question.output
    kind = "application/json" if output.startswith("JSON") else _CONTENT_TYPES.get(output, "text/plain")
    return {"Content-Type": f"{kind}; charset=UTF-8", "X-ClickHouse-Format": output}


def _failure(text: str) -> web.Response:
    found = re.search(r"Code: (\d+)\.", text)
    code = int(found[1]) if found else 0
    # The engine also looks for a table as a file of that name.
    status = 404 if "File name too long" in text else _STATUS.get(code, 400)
    headers = {"X-ClickHouse-Exception-Code": str(code)} | ({"Retry-After": "1"} if status == 503 else {})
    return web.Response(status=status, text=text.rstrip() + "\n", headers=headers)


def running_address(directory: Path) -> str:
    """Where the process that owns the directory says it answers; empty where none says so."""
    try:
        return (directory / ADDRESS_FILE).read_text().strip()
    except OSError:
        return ""
