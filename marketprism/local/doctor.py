"""Check everything the system needs, and say how to fix what is missing (`marketprism doctor`)."""

import asyncio
from collections.abc import Sequence

from ingest.clock import compare_clock
from ingest.exchanges import CONNECTORS, carried_by_none, connectors_of
from ingest.rest import Rest, RestPool
from ingest.uplinks import Uplinks, uplinks_of
from marketprism.local.broker import java, java_version
from marketprism.local.findings import Check, Finding
from marketprism.local.jars import missing_jars
from marketprism.local.reachability import check_hosts
from schemas.errors import ExchangeError
from schemas.settings import Settings

_CLOCK_TIMEOUT = 5.0  # s
_MAX_CLOCK_OFFSET = 1.0  # s; beyond this, the times in events are misleading


async def _settings(settings: Settings) -> list[Finding]:
    missing = carried_by_none(connectors_of(settings), settings)
    without = f"; no feed has {', '.join(missing)}" if missing else ""
    text = f"{len(settings.feeds)} feeds, {len(settings.symbols)} symbols{without}"
    return [Finding("settings", not missing, text)]


async def _java(settings: Settings) -> list[Finding]:
    found = java()
    return [Finding("java", True, f"{java_version(found)} at {found}")]


async def _jars(settings: Settings) -> list[Finding]:
    if missing := missing_jars():
        return [Finding("kafka jars", False, f"{len(missing)} jars are missing: run `make setup`")]
    return [Finding("kafka jars", True, "complete, as locked")]


async def _clock(settings: Settings) -> list[Finding]:
    """Compare this machine's clock with an exchange's."""
    exchange = CONNECTORS[settings.feeds[0]]()
    uplinks = Uplinks(exchange.name, "rest", uplinks_of(settings, exchange.name, "rest", exchange.rest))
    try:
        async with asyncio.timeout(_CLOCK_TIMEOUT), RestPool() as pool:
            rest = Rest(exchange.name, uplinks, exchange.limits, pool, attempts=1)
            offset = (await compare_clock(exchange, rest)).offset / 1e6
    except (ExchangeError, TimeoutError) as error:
        reason = str(error) or f"no answer within {_CLOCK_TIMEOUT:.0f} s"
        return [Finding("clock", None, f"not checked, as {exchange.name} cannot be reached: {reason}")]
    ok = abs(offset) < _MAX_CLOCK_OFFSET
    text = f"{-offset * 1000:+.0f} ms compared with {exchange.name}" + ("" if ok else ": synchronise it with NTP")
    return [Finding("clock", ok, text)]


# What this machine needs. What runs on it is examined by `status.py`.
CHECKS: Sequence[Check] = (
    ("settings", _settings),
    ("java", _java),
    ("kafka jars", _jars),
    ("hosts", check_hosts),
    ("clock", _clock),
)
