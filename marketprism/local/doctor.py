"""Check everything the system needs, and say how to fix what is missing (`marketprism doctor`)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from ingest.clock import compare_clock
from ingest.exchanges import CONNECTORS, carried_by_none, connectors_of
from ingest.rest import Rest, RestPool
from marketprism.local.broker import java, java_version
from marketprism.local.disk import free_bytes
from marketprism.local.jars import missing_jars
from marketprism.ops.groups import describe_groups
from marketprism.ops.topics import admin
from schemas.errors import ExchangeError, MarketPrismError
from schemas.passwords import masked
from schemas.settings import Endpoint, Settings
from schemas.topics import TOPICS
from sinks.sql.client import run_query
from sinks.storage.embedded import directory_of

_CLOCK_TIMEOUT = 5.0  # s
_MAX_CLOCK_OFFSET = 1.0  # s; beyond this, the times in events are misleading


class Finding(NamedTuple):
    """Result of one check. `ok` is None for a note that is not a problem."""

    name: str
    ok: bool | None
    text: str


async def examine(settings: Settings) -> list[Finding]:
    """Run all checks, in order of their dependencies."""
    checks: list[tuple[str, Callable[[Settings], Awaitable[Finding]]]] = [
        ("settings", _settings),
        ("java", _java),
        ("kafka jars", _jars),
        ("broker", _broker),
        ("groups", _groups),
        ("clickhouse", _clickhouse),
        ("disk", _disk),
        ("clock", _clock),
    ]
    findings = []
    for name, check in checks:
        try:
            findings.append(await check(settings))
        except (MarketPrismError, OSError) as error:
            findings.append(Finding(name, False, str(error)))
    return findings


async def _settings(settings: Settings) -> Finding:
    missing = carried_by_none(connectors_of(settings), settings)
    without = f"; no feed has {', '.join(missing)}" if missing else ""
    return Finding("settings", not missing, f"{len(settings.feeds)} feeds, {len(settings.symbols)} symbols{without}")


async def _java(settings: Settings) -> Finding:
    found = java()
    return Finding("java", True, f"{java_version(found)} at {found}")


async def _jars(settings: Settings) -> Finding:
    missing = missing_jars()
    if missing:
        return Finding("kafka jars", False, f"{len(missing)} jars are missing: run `make setup`")
    return Finding("kafka jars", True, "complete, as locked")


async def _broker(settings: Settings) -> Finding:
    if "kafka" not in settings.model_fields_set:
        return Finding("broker", None, "not configured (setting `kafka`): demo and live start their own")
    async with admin(settings) as client:
        existing = set(await client.list_topics())
    missing = [name for name in TOPICS if settings.topic(name) not in existing]
    if missing:
        return Finding(
            "broker", False, f"{settings.kafka} lacks {', '.join(missing)}: run `marketprism topics --create`"
        )
    return Finding("broker", True, f"{settings.kafka} has all topics")


async def _groups(settings: Settings) -> Finding:
    """Check for workers and sinks that run without assigned partitions."""
    if "kafka" not in settings.model_fields_set:
        return Finding("groups", None, "not checked, as no broker is configured")
    async with admin(settings) as client:
        groups = await describe_groups(client, settings)
    if idle := [group for group in groups if group.idle]:
        names = ", ".join(f"{group.name} ({group.members} members)" for group in idle)
        return Finding(
            "groups",
            False,
            f"{names}: no partitions are assigned: create missing topics with `marketprism topics --create`, "
            "and restart these processes if that does not help within a minute",
        )
    text = ", ".join(f"{group.name}: {group.members} members, {group.partitions} partitions" for group in groups)
    return Finding("groups", True, text or "no worker or sink has run yet")


async def _clickhouse(settings: Settings) -> Finding:
    if "clickhouse" not in settings.model_fields_set:
        return Finding("clickhouse", None, "not configured (setting `clickhouse`): demo and live embed one")
    version = run_query(settings, "SELECT version()").decode().strip()
    return Finding("clickhouse", True, f"{version} at {masked(settings.clickhouse)}")


async def _disk(settings: Settings) -> Finding:
    """Check the disk of an embedded ClickHouse, which demo and live share with their broker."""
    if not settings.clickhouse.startswith("chdb://"):
        return Finding("disk", None, "not checked, as ClickHouse is a server")
    directory = directory_of(settings).absolute()
    free = free_bytes(directory)
    text = f"{free / 1e9:,.1f} GB free for {directory}"
    if free < settings.disk_low_mb * 1_000_000:
        return Finding(
            "disk", False, f"{text}: below {settings.disk_low_mb} MB (setting `disk_low_mb`), free some space"
        )
    return Finding("disk", True, text)


async def _clock(settings: Settings) -> Finding:
    """Compare this machine's clock with an exchange's."""
    exchange = CONNECTORS[settings.feeds[0]]()
    base = settings.endpoints.get(exchange.name, Endpoint()).rest or exchange.rest
    try:
        async with asyncio.timeout(_CLOCK_TIMEOUT), RestPool() as pool:
            rest = Rest(exchange.name, base, exchange.limits, pool)
            offset = (await compare_clock(exchange, rest)).offset / 1e6
    except (ExchangeError, TimeoutError) as error:
        text = f"not checked, as {exchange.name} cannot be reached: {str(error) or 'timeout'}"
        return Finding("clock", None, text)
    ok = abs(offset) < _MAX_CLOCK_OFFSET
    return Finding(
        "clock",
        ok,
        f"{-offset * 1000:+.0f} ms compared with {exchange.name}" + ("" if ok else ": synchronise it with NTP"),
    )
