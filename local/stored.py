"""What ClickHouse holds, for the live view and the summary."""

from dataclasses import dataclass, field
from typing import Any

import orjson
import structlog

from schemas.errors import MarketPrismError
from schemas.feeds import feed_of
from schemas.settings import Settings
from sinks.sink import TABLES
from sinks.sql import run_query

log = structlog.get_logger(__name__)

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
class Stored:
    """`rows` by table; `live`: books by feed; the latest `signals`, and `signal_counts` by type."""

    rows: dict[str, int] = field(default_factory=dict)
    live: dict[str, int] = field(default_factory=dict)
    signals: list[dict[str, Any]] = field(default_factory=list)
    signal_counts: dict[str, int] = field(default_factory=dict)


def read_stored(settings: Settings) -> Stored:
    """Ask ClickHouse; what cannot be answered (yet) stays empty."""
    try:
        live: dict[str, int] = {}
        for row in _ask(settings, _LIVE):
            feed = feed_of(row["exchange"], row["symbol"]).name
            live[feed] = live.get(feed, 0) + 1
        return Stored(
            {row["name"]: int(row["rows"]) for row in _ask(settings, _ROWS)},
            live,
            _ask(settings, _SIGNALS),
            {row["type"]: int(row["rows"]) for row in _ask(settings, _SIGNAL_COUNTS)},
        )
    except MarketPrismError as error:
        log.debug("ClickHouse does not answer", reason=str(error))
        return Stored()


def _ask(settings: Settings, query: str) -> list[dict[str, Any]]:
    answer = run_query(settings, query.replace("{database}", settings.database), "JSONEachRow")
    return [orjson.loads(line) for line in answer.splitlines()]
