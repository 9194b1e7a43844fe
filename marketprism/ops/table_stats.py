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
from sinks.directory import DATA_HEADER, directory_of, running_address

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
_OPPORTUNITIES = """\
SELECT any(symbol) AS symbol, any(buy_exchange) AS buy, any(sell_exchange) AS sell,
    argMax(type, (local_timestamp, _offset)) AS type, argMax(reason, (local_timestamp, _offset)) AS reason,
    argMax(net_bps, (local_timestamp, _offset)) AS net_bps, argMax(lifetime, (local_timestamp, _offset)) AS lifetime,
    max(peak_net_bps) AS peak_net_bps, toFloat64(max(peak_profit)) AS peak_profit,
    toUnixTimestamp64Micro(any(opened_at)) AS opened_at
FROM {database}.signals
WHERE local_timestamp > (SELECT max(local_timestamp) FROM {database}.signals) - INTERVAL 1 DAY
GROUP BY id ORDER BY type = 'closed', max(local_timestamp) DESC, id LIMIT 100"""
# Without reading a row: each part knows the times of its first and last.
_NEWEST = "SELECT toUnixTimestamp64Micro(max(local_timestamp)) AS newest FROM {database}.quotes"
_SIGNAL_COUNTS = "SELECT type, count() AS rows FROM {database}.signals GROUP BY type"


@dataclass(frozen=True)
class Opportunity:
    """One opportunity as of its last signal. `closed`: the reason, empty while it is open.

    `net_bps`: when it last paid. `opened_at` and `lifetime`: µs, as of the last signal.
    """

    symbol: str
    buy: str
    sell: str
    closed: str
    net_bps: float
    peak_net_bps: float
    peak_profit: float
    opened_at: int
    lifetime: int

    def lifetime_at(self, newest: int) -> int:
        """Return the lifetime in µs, of an open one until the newest stored quote.

        So it grows, but not after the pipeline has stopped.
        """
        return self.lifetime if self.closed else max(self.lifetime, newest - self.opened_at)


@dataclass
class TableStats:
    """Statistics of the tables: `rows` by table, `live_books` by feed, `signal_counts` by type.

    `opportunities`: those of the last day, the open ones first, then the newest. `newest`: receipt time of the newest
    quote, µs.
    """

    rows: dict[str, int] = field(default_factory=dict)
    live_books: dict[str, int] = field(default_factory=dict)
    opportunities: list[Opportunity] = field(default_factory=list)
    signal_counts: dict[str, int] = field(default_factory=dict)
    newest: int = 0


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
                [_opportunity(row) for row in await self._query(_OPPORTUNITIES)],
                {row["type"]: int(row["rows"]) for row in await self._query(_SIGNAL_COUNTS)},
                int((await self._query(_NEWEST))[0]["newest"]),
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


def _opportunity(row: dict[str, Any]) -> Opportunity:
    return Opportunity(
        row["symbol"],
        row["buy"],
        row["sell"],
        row["reason"] if row["type"] == "closed" else "",
        row["net_bps"],
        row["peak_net_bps"],
        row["peak_profit"],
        int(row["opened_at"]),
        int(row["lifetime"]),
    )
