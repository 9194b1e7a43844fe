"""What ClickHouse holds, for the live view and the summary."""

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

_ANSWER_WITHIN = 8.0  # s
_HTTP = {"clickhouse": ("http", 8123), "clickhouses": ("https", 8443)}  # ClickHouse's own ports

_ROWS = " UNION ALL ".join(
    f"SELECT '{table}' AS name, count() AS rows FROM {{database}}.{table}" for table in TABLES.values()
)
_LIVE = """\
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
    """`rows` by table; `live`: books by feed; the latest `signals`, and `signal_counts` by type."""

    rows: dict[str, int] = field(default_factory=dict)
    live: dict[str, int] = field(default_factory=dict)
    signals: list[dict[str, Any]] = field(default_factory=list)
    signal_counts: dict[str, int] = field(default_factory=dict)


class Store:
    """Asks ClickHouse over HTTP; an embedded one through the sink that owns it.

    A directory is never opened here: whoever did so while the sink is being restarted would keep it from the sink.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._http = ClientSession(timeout=ClientTimeout(total=_ANSWER_WITHIN))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def read(self) -> TableStats:
        """What is stored now; `StorageError` where nobody answers."""
        try:
            live: dict[str, int] = {}
            for row in await self._ask(_LIVE):
                feed = feed_of(row["exchange"], row["symbol"]).name
                live[feed] = live.get(feed, 0) + 1
            return TableStats(
                {row["name"]: int(row["rows"]) for row in await self._ask(_ROWS)},
                live,
                await self._ask(_SIGNALS),
                {row["type"]: int(row["rows"]) for row in await self._ask(_SIGNAL_COUNTS)},
            )
        except (ClientError, TimeoutError, OSError, ValueError) as error:
            raise StorageError(f"ClickHouse does not answer: {error or type(error).__name__}") from None

    async def _ask(self, query: str) -> list[dict[str, Any]]:
        url, headers = self._where()
        parameters = {"default_format": "JSONEachRow", "database": self._settings.database}
        body = query.replace("{database}", self._settings.database).encode()
        async with self._http.post(url, params=parameters, data=body, headers=headers) as response:
            answer = await response.read()
            if response.status != 200:
                raise StorageError(answer.decode(errors="replace").strip()[:200])
        return [orjson.loads(line) for line in answer.splitlines()]

    def _where(self) -> tuple[str, dict[str, str]]:
        if self._settings.clickhouse.startswith("chdb://"):
            directory = directory_of(self._settings)
            address = running_address(directory)
            if not address:
                raise StorageError(f"no sink answers for {directory}")
            return f"http://{address}/", {DATA_HEADER: str(directory.resolve())}
        server = urlsplit(self._settings.clickhouse)
        scheme, port = _HTTP[server.scheme]
        user, password = unquote(server.username or "default"), unquote(server.password or "")
        return f"{scheme}://{server.hostname}:{port}/", {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}
