"""Query what ClickHouse holds, for the live view and the summary."""

from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import orjson
from aiohttp import ClientError, ClientSession, ClientTimeout

from schemas.errors import StorageError
from schemas.events import TABLES
from schemas.feeds import feed_of
from schemas.settings import Settings
from sinks.sql.http_server import DATA_HEADER, running_address
from sinks.storage.embedded import directory_of

_TIMEOUT = 8.0  # s
_HTTP = {"clickhouse": ("http", 8123), "clickhouses": ("https", 8443)}  # ClickHouse's default ports

_ROWS = " UNION ALL ".join(
    f"SELECT '{table}' AS name, count() AS rows FROM {{database}}.{table}" for table in TABLES.values()
)
_LIVE_BOOKS = """\
SELECT exchange, symbol FROM {database}.books
WHERE (exchange, symbol) NOT IN (
    SELECT exchange, symbol FROM {database}.gaps WHERE channel = 'books' GROUP BY exchange, symbol
    HAVING argMax(type, (local_timestamp, type = 'closed')) = 'opened')
GROUP BY exchange, symbol"""
_SIGNALS = """\
SELECT symbol, type, reason, buy_exchange, sell_exchange, toFloat64(net_bps) AS net_bps, toFloat64(profit) AS profit,
    lifetime, toString(local_timestamp) AS at
FROM {database}.signals ORDER BY local_timestamp DESC, _offset DESC LIMIT 8"""
_SIGNAL_COUNTS = "SELECT type, count() AS rows FROM {database}.signals GROUP BY type"


@dataclass
class TableStats:
    """Statistics of the tables: `rows` by table, `live_books` by feed, latest `signals`, `signal_counts` by type."""

    rows: dict[str, int] = field(default_factory=dict)
    live_books: dict[str, int] = field(default_factory=dict)
    signals: list[dict[str, Any]] = field(default_factory=list)
    signal_counts: dict[str, int] = field(default_factory=dict)


class TableStatsReader:
    """Reader of `TableStats` over HTTP; an embedded ClickHouse is queried through the sink that owns it.

    The directory itself is never opened, as that could lock out a sink that is restarting.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._http = ClientSession(timeout=ClientTimeout(total=_TIMEOUT))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def read(self) -> TableStats:
        """Return the current statistics. Raise `StorageError` if ClickHouse does not answer."""
        try:
            live_books: dict[str, int] = {}
            for row in await self._query(_LIVE_BOOKS):
                feed = feed_of(row["exchange"], row["symbol"]).name
                live_books[feed] = live_books.get(feed, 0) + 1
            return TableStats(
                {row["name"]: int(row["rows"]) for row in await self._query(_ROWS)},
                live_books,
                await self._query(_SIGNALS),
                {row["type"]: int(row["rows"]) for row in await self._query(_SIGNAL_COUNTS)},
            )
        except (ClientError, TimeoutError, OSError, ValueError) as error:
            raise StorageError(f"ClickHouse does not answer: {str(error) or type(error).__name__}") from None

    async def _query(self, query: str) -> list[dict[str, Any]]:
        url, headers = self._endpoint()
        parameters = {"default_format": "JSONEachRow", "database": self._settings.database}
        sql = query.replace("{database}", self._settings.database).encode()
        async with self._http.post(url, params=parameters, data=sql, headers=headers) as response:
            body = await response.read()
            if response.status != 200:
                raise StorageError(body.decode(errors="replace").strip()[:200])
        return [orjson.loads(line) for line in body.splitlines()]

    def _endpoint(self) -> tuple[str, dict[str, str]]:
        if self._settings.clickhouse.startswith("chdb://"):
            directory = directory_of(self._settings)
            address = running_address(directory)
            if not address:
                raise StorageError(f"no sink is serving {directory}")
            return f"http://{address}/", {DATA_HEADER: str(directory.resolve())}
        server = urlsplit(self._settings.clickhouse)
        scheme, port = _HTTP[server.scheme]
        user, password = unquote(server.username or "default"), unquote(server.password or "")
        return f"{scheme}://{server.hostname}:{port}/", {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}
