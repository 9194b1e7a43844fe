"""Read which hosts and proxies the feeds use, from the last events `host_changed` in ClickHouse."""

from typing import NamedTuple

import orjson

from ingest.exchanges import connectors_of
from ingest.uplinks import uplinks_of
from schemas.errors import SymbolError
from schemas.feeds import feed_of
from schemas.settings import Settings
from sinks.sql.client import run_query

_CHANGES = """
SELECT exchange, symbol, argMax(reason, local_timestamp) AS reason, max(local_timestamp) AS at
FROM status
WHERE type = 'host_changed'
GROUP BY exchange, symbol, splitByChar(' ', status.reason)[1]
ORDER BY at
"""


class HostInUse(NamedTuple):
    """Host and proxy that a feed uses for `where`: `ws` or `rest`. `reason`: since when, and why."""

    feed: str
    where: str
    uplink: str
    reason: str


def hosts_in_use(settings: Settings) -> list[HostInUse]:
    """Return what the configured feeds use, without passwords. Raise `StorageError` if ClickHouse cannot be asked."""
    changes = _changes(settings)
    found = []
    for connector in connectors_of(settings):
        for where, hosts in connector.hosts.items():
            first, *others = uplinks_of(settings, connector.name, where, hosts)
            if not others:
                found.append(HostInUse(connector.name, where, str(first), "the only one"))
            elif change := changes.get((connector.name, where)):
                found.append(change)
            else:
                found.append(HostInUse(connector.name, where, str(first), "first choice, not used yet"))
    return found


def _changes(settings: Settings) -> dict[tuple[str, str], HostInUse]:
    """Return the last change of each feed, for sockets and for REST."""
    found = {}
    for line in run_query(settings, _CHANGES, "JSONEachRow").splitlines():
        row = orjson.loads(line)
        try:
            feed = feed_of(row["exchange"], row["symbol"]).name
        except SymbolError:
            continue
        where, _, text = row["reason"].partition(" ")
        uplink, _, reason = text.partition(": ")
        found[feed, where] = HostInUse(feed, where, uplink, f"since {row['at']} UTC, {reason}")
    return found
