"""`marketprism doctor`: what is needed, whether it is there, and what to do where it is not."""

import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiohttp import ClientError, ClientSession, ClientTimeout

from ingest.exchanges import EXCHANGE_FEEDS
from local.broker import java, java_version
from local.jars import missing_jars
from local.topics import admin
from schemas.errors import MarketPrismError
from schemas.settings import Endpoint, Settings
from schemas.topics import TOPICS
from sinks.sql import run_query

_CLOCK_PATHS = {"binance-spot": "/api/v3/time", "binance-usdm": "/fapi/v1/time", "okx": "/api/v5/public/time"}
_FAST_CLOCK = 1.0  # s off from which times in events mislead


class Finding(NamedTuple):
    """`ok` None: not an error, but worth knowing."""

    name: str
    ok: bool | None
    text: str


async def examine(settings: Settings) -> list[Finding]:
    """All findings, in the order in which things depend on each other."""
    checks: list[tuple[str, Callable[[Settings], Awaitable[Finding]]]] = [
        ("java", _java),
        ("kafka jars", _jars),
        ("broker", _broker),
        ("clickhouse", _clickhouse),
        ("clock", _clock),
    ]
    findings = [Finding("settings", True, f"{len(settings.feeds)} feeds, {len(settings.symbols)} symbols")]
    for name, check in checks:
        try:
            findings.append(await check(settings))
        except MarketPrismError as error:
            findings.append(Finding(name, False, str(error)))
    return findings


async def _java(settings: Settings) -> Finding:
    found = java()
    return Finding("java", True, f"{java_version(found)} at {found}")


async def _jars(settings: Settings) -> Finding:
    missing = missing_jars()
    if missing:
        return Finding("kafka jars", False, f"{len(missing)} are missing: run `make setup`")
    return Finding("kafka jars", True, "all there, as locked")


async def _broker(settings: Settings) -> Finding:
    if "kafka" not in settings.model_fields_set:
        return Finding("broker", None, "none is named (setting `kafka`): demo and live start one of their own")
    async with admin(settings) as client:
        there = set(await client.list_topics())
    missing = [name for name in TOPICS if settings.topic(name) not in there]
    if missing:
        return Finding(
            "broker", False, f"{settings.kafka} lacks {', '.join(missing)}: run `marketprism topics --create`"
        )
    return Finding("broker", True, f"{settings.kafka} has all topics")


async def _clickhouse(settings: Settings) -> Finding:
    if "clickhouse" not in settings.model_fields_set:
        return Finding("clickhouse", None, "none is named (setting `clickhouse`): demo and live embed one")
    version = run_query(settings, "SELECT version()").decode().strip()
    return Finding("clickhouse", True, f"{version} at {settings.clickhouse}")


async def _clock(settings: Settings) -> Finding:
    """This machine's clock against an exchange's: offset = server time + half the round trip - local time."""
    feed = settings.feeds[0]
    base = settings.endpoints.get(feed, Endpoint()).rest or EXCHANGE_FEEDS[feed].rest
    try:
        async with ClientSession(timeout=ClientTimeout(total=5), trust_env=True) as http:
            samples = [await _offset(http, base + _CLOCK_PATHS[feed]) for _ in range(3)]
    except (ClientError, TimeoutError, OSError) as error:
        return Finding("clock", None, f"{feed} cannot be reached, so the clock is not compared: {error or 'timeout'}")
    _, offset = min(samples)
    ok = abs(offset) < _FAST_CLOCK
    return Finding("clock", ok, f"{offset * 1000:+.0f} ms against {feed}" + ("" if ok else ": set it by NTP"))


async def _offset(http: ClientSession, url: str) -> tuple[float, float]:
    sent = time.time()
    async with http.get(url) as answer:
        body = await answer.json()
    trip = time.time() - sent
    stamp = body["serverTime"] if "serverTime" in body else int(body["data"][0]["ts"])
    return trip, stamp / 1000 - (sent + trip / 2)
