"""SQL over HTTP for the embedded ClickHouse, in the shape of ClickHouse's own HTTP interface; it only reads.

`POST /` with the query as the body, `GET /?query=…`, `?default_format=`, `FORMAT` in the query, `?param_name=` for
`{name:Type}`, `/ping`. An error is text that begins with `Code: N.`.
"""

import asyncio
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import structlog
from aiohttp import web

from schemas.errors import StorageError
from schemas.settings import Settings
from sinks.embedded import directory_of
from sinks.reader import Reader
from sinks.storage import Storage

ADDRESS_FILE = "sql_address"
DATA_HEADER = "X-MarketPrism-Data"  # the directory that a client means: an old address may lead to another's
_QUERIES = 4  # that run side by side; more wait
_MAX_QUERY = 1 << 20  # bytes
_STATUS = {62: 400, 60: 404, 81: 404, 46: 404, 47: 404, 164: 403, 159: 408}  # ClickHouse's own; else 500
_CONTENT_TYPES = {"TabSeparated": "text/tab-separated-values", "TSV": "text/tab-separated-values", "CSV": "text/csv"}
_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)

log = structlog.get_logger(__name__)


class SqlServer:
    """Answers on `settings.sql_address`, or another port where that is taken; `DIR/sql_address` says where."""

    def __init__(self, settings: Settings, storage: Storage) -> None:
        self._settings = settings
        self._storage = storage
        self._directory = directory_of(settings)
        self._threads = ThreadPoolExecutor(_QUERIES, thread_name_prefix="sql")
        self._local = threading.local()
        self._readers: list[Reader] = []
        self._runner: web.AppRunner | None = None
        self.address = ""

    async def start(self) -> None:
        app = web.Application(client_max_size=_MAX_QUERY)
        app.router.add_route("*", "/ping", self._ping)
        app.router.add_route("*", "/", self._query)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
        await self._runner.setup()
        host, _, port = self._settings.sql_address.rpartition(":")
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
        await asyncio.to_thread(self._storage.execute, "KILL QUERY WHERE 1")  # a long one would hold up the stop
        if self._runner is not None:
            await self._runner.cleanup()
        await asyncio.to_thread(self._threads.shutdown)
        for reader in self._readers:
            reader.close()

    async def _listen(self, host: str, port: int) -> int:
        assert self._runner is not None
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        return int(self._runner.addresses[-1][1])

    async def _ping(self, request: web.Request) -> web.Response:
        return web.Response(text="Ok.\n")

    async def _query(self, request: web.Request) -> web.Response:
        wanted = request.headers.get(DATA_HEADER)
        if wanted and wanted != str(self._directory.resolve()):
            return web.Response(status=421, text=f"this is the ClickHouse of {self._directory.resolve()}\n")
        query = "\n".join(part for part in (request.query.get("query", ""), await request.text()) if part)
        if not query.strip():
            return web.Response(text="Ok.\n")
        output = request.query.get("default_format") or request.headers.get("X-ClickHouse-Format") or "TabSeparated"
        parameters = {
            name.removeprefix("param_"): value for name, value in request.query.items() if name.startswith("param_")
        }
        try:
            loop = asyncio.get_running_loop()
            answer = await loop.run_in_executor(self._threads, self._ask, query, output, parameters)
        except StorageError as error:
            return _failure(str(error))
        return web.Response(body=answer, headers=_headers(query, output))

    def _ask(self, query: str, output: str, parameters: dict[str, str]) -> bytes:
        reader: Reader | None = getattr(self._local, "reader", None)
        if reader is None:
            reader = self._local.reader = Reader(self._directory, self._settings.database)
            self._readers.append(reader)
        return reader.ask(query, output, parameters)


def _headers(query: str, output: str) -> dict[str, str]:
    found = _FORMAT.search(query)
    output = found[1] if found else output
    kind = "application/json" if output.startswith("JSON") else _CONTENT_TYPES.get(output, "text/plain")
    return {"Content-Type": f"{kind}; charset=UTF-8", "X-ClickHouse-Format": output}


def _failure(text: str) -> web.Response:
    found = re.search(r"Code: (\d+)\.", text)
    code = int(found[1]) if found else 0
    headers = {"X-ClickHouse-Exception-Code": str(code)}
    return web.Response(status=_STATUS.get(code, 500), text=text.rstrip() + "\n", headers=headers)


def running_address(directory: Path) -> str:
    """Where the process that owns the directory says it answers; empty where none says so."""
    try:
        return (directory / ADDRESS_FILE).read_text().strip()
    except OSError:
        return ""
