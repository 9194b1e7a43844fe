"""Try every host of the configured feeds through every proxy, and say which can be reached and why others cannot.

`python -m marketprism.local.reachability FEED …` does so in a process of its own (`reach_watch.py`).
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Collection
from typing import Literal

import msgspec
from msgspec import Struct

from ingest.exchanges import connectors_of
from ingest.exchanges.base import Connector
from ingest.rest import Rest, RestPool
from ingest.sockets import socket_to
from ingest.timings import DEFAULT_TIMINGS
from ingest.uplinks import Uplink, Uplinks, Where, uplinks_of
from marketprism.local.findings import Finding
from schemas.settings import Settings, load_settings

NAMES: dict[Where, str] = {"ws": "sockets", "rest": "REST"}
_WITHIN = DEFAULT_TIMINGS.connect_timeout_s  # s, for everything that one attempt does


class Attempt(Struct, frozen=True):
    """Outcome of trying one uplink. `seconds`: what it took. `failure`: why it cannot be used; empty if it can."""

    where: Literal["ws", "rest"]
    uplink: str
    seconds: float
    failure: str = ""


class Reach(Struct, frozen=True):
    """What trying all uplinks of a feed has shown, best first."""

    feed: str
    attempts: list[Attempt]

    @property
    def used(self) -> list[Attempt]:
        """The best ones that work: one for sockets and one for REST."""
        first = {each.where: each for each in reversed(self.attempts) if not each.failure}
        return [first[where] for where in NAMES if where in first]

    @property
    def missing(self) -> list[Attempt]:
        """All attempts for what none works for; empty if the feed can be reached. A feed needs sockets and REST."""
        working = {each.where for each in self.used}
        return [each for each in self.attempts if each.where not in working]


async def try_feeds(
    settings: Settings, feeds: Collection[str], on_tried: Callable[[Reach], None] = lambda reach: None
) -> list[Reach]:
    """Try all uplinks of these feeds at the same time. `on_tried` is called with each feed as soon as it is known."""
    async with RestPool() as pool:

        async def reach(connector: Connector) -> Reach:
            attempts = (_try(connector, where, uplink, pool) for where, uplink in _uplinks(connector, settings))
            found = Reach(connector.name, await asyncio.gather(*attempts))
            on_tried(found)
            return found

        return await asyncio.gather(*(reach(each) for each in connectors_of(settings) if each.name in feeds))


async def check_hosts(settings: Settings) -> list[Finding]:
    """Describe all uplinks for `marketprism doctor`. What cannot be used is a note; without a network all are."""
    found = await try_feeds(settings, settings.feeds)
    return [_finding(reach, attempt) for reach in found for attempt in reach.attempts]


def _finding(reach: Reach, attempt: Attempt) -> Finding:
    name = f"{reach.feed} {NAMES[attempt.where]}"
    if attempt.failure:
        return Finding(name, None, f"{attempt.uplink} cannot be used: {attempt.failure}")
    used = ", and is used" if attempt in reach.used else ""
    return Finding(name, True, f"{attempt.uplink} works{used} ({attempt.seconds * 1000:.0f} ms)", attempt.seconds, "s")


def _uplinks(connector: Connector, settings: Settings) -> list[tuple[Where, Uplink]]:
    return [
        (where, uplink)
        for where, hosts in connector.hosts.items()
        if where == "rest" or _path(connector)
        for uplink in uplinks_of(settings, connector.name, where, hosts)
    ]


def _path(connector: Connector) -> str:
    """Return a path on which the feed opens sockets; empty if it needs none."""
    return next(iter((*connector.paths, connector.announcement_path)), "")


async def _try(connector: Connector, where: Where, uplink: Uplink, pool: RestPool) -> Attempt:
    began = time.monotonic()
    try:
        async with asyncio.timeout(_WITHIN):
            if where == "rest":
                uplinks = Uplinks(connector.name, where, [uplink])
                await connector.server_time(Rest(connector.name, uplinks, connector.limits, pool, attempts=1))
                return Attempt(where, str(uplink), time.monotonic() - began)
            async with socket_to(connector, uplink, _path(connector), _WITHIN):
                return Attempt(where, str(uplink), time.monotonic() - began)
    except Exception as error:  # noqa: BLE001 - whatever an exchange or a proxy does is what is asked
        return Attempt(where, str(uplink), time.monotonic() - began, uplink.failure_of(error).text)


def _write(reach: Reach) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(reach) + b"\n")
    sys.stdout.buffer.flush()


async def _main() -> None:
    """Try the feeds that are named as arguments, and write a line of JSON for each."""
    await try_feeds(load_settings(), sys.argv[1:], _write)
    os._exit(0)  # a thread may still wait for a name server, and nobody for the thread


if __name__ == "__main__":
    asyncio.run(_main())
