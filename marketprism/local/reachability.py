"""Try every host of the configured feeds through every proxy, for `marketprism doctor`."""

import asyncio
from itertools import groupby
from typing import NamedTuple

from ingest.exchanges import connectors_of
from ingest.exchanges.base import Connector
from ingest.rest import Rest, RestPool
from ingest.sockets import socket_to
from ingest.uplink_failures import failure_of
from ingest.uplinks import Uplink, Uplinks, Where, uplinks_of
from marketprism.local.findings import Finding
from schemas.settings import Settings

_NAMES: dict[Where, str] = {"ws": "sockets", "rest": "REST"}


class _Attempt(NamedTuple):
    connector: Connector
    where: Where
    uplink: Uplink

    @property
    def name(self) -> str:
        return f"{self.connector.name} {_NAMES[self.where]}"


async def check_hosts(settings: Settings) -> list[Finding]:
    """Try all at the same time. Where the preferred one fails, it is a note; without a network all are."""
    attempts = [
        _Attempt(connector, where, uplink)
        for connector in connectors_of(settings)
        for where, hosts in connector.hosts.items()
        for uplink in uplinks_of(settings, connector.name, where, hosts)
    ]
    async with RestPool() as pool:
        reasons = await asyncio.gather(*(_reason(attempt, pool) for attempt in attempts))
    tried = zip(attempts, reasons, strict=True)
    return [
        finding for name, group in groupby(tried, lambda pair: pair[0].name) for finding in _findings(name, [*group])
    ]


def _findings(name: str, tried: list[tuple[_Attempt, str]]) -> list[Finding]:
    """Describe the uplinks of a feed, best first, each with the reason why it fails; empty if it works."""
    used = next((attempt for attempt, reason in tried if not reason), None)
    return [
        Finding(name, None, f"{attempt.uplink} cannot be used: {reason}")
        if reason
        else Finding(name, True, f"{attempt.uplink} works{', and is used' if attempt is used else ''}")
        for attempt, reason in tried
    ]


async def _reason(attempt: _Attempt, pool: RestPool) -> str:
    """Return why an uplink cannot be used; empty if it can."""
    connector, where, uplink = attempt
    uplinks = Uplinks(connector.name, where, [uplink])
    try:
        if where == "rest":
            await connector.server_time(Rest(connector.name, uplinks, connector.limits, pool, attempts=1))
        elif path := next(iter((*connector.paths, connector.announcement_path)), ""):
            async with socket_to(connector, uplink, path, uplinks.connect_timeout_s):
                pass
    except Exception as error:  # noqa: BLE001 - whatever an exchange or a proxy does is what is asked
        return failure_of(error, uplink.proxy is not None).text
    return ""
