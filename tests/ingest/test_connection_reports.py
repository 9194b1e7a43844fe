"""Reports of hosts and connections, from the real ingest to `control.connections`."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from ingest import sockets
from ingest.exchanges.binance import BinanceSpot
from ingest.timings import DEFAULT_TIMINGS
from marketprism.ops.connections import last_reports
from marketprism.simulator import Simulators
from schemas.connections import FeedReport
from schemas.settings import Settings, load_settings
from schemas.topics import CONNECTIONS
from tests.ingest.reading import ingesting, is_flowing, until
from tests.ingest.rigs import refusing

OFTEN = replace(DEFAULT_TIMINGS, report_interval_s=0.2)


async def reported(settings: Settings, enough: Callable[[list[FeedReport]], bool]) -> list[FeedReport]:
    """Wait until `enough(reports)` holds for the last reports, and return them."""
    async with asyncio.timeout(20):
        while True:
            found = [each.report for each in await last_reports(settings)]
            if enough(found):
                return found
            await asyncio.sleep(0.1)


async def test_connections(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each feed's connections are reported with their load, latency and age, until ingest is stopped."""
    monkeypatch.setattr(BinanceSpot, "instruments_per_connection", 1)
    monkeypatch.setattr(sockets, "_PING", 0.5)
    began = time.time_ns() // 1000
    async with ingesting(here, "binance-spot", "okx", timings=OFTEN):
        spot, okx = await reported(
            here,
            lambda found: (
                [len(each.connections) for each in found] == [2, 1]
                and all(one.round_trip and one.frames for each in found for one in each.connections)
            ),
        )
    assert (spot.feed, spot.capacity, okx.feed) == ("binance-spot", 1, "okx")
    assert spot.ingest == okx.ingest
    assert [(each.number, each.symbols) for each in spot.connections] == [(1, ["BTC-USDT"]), (2, ["ETH-USDT"])]
    assert [(each.number, each.symbols) for each in okx.connections] == [(1, ["BTC-USDT", "ETH-USDT"])]
    for each in (*spot.connections, *okx.connections):
        assert each.state == "open"
        assert began < each.opened_at < time.time_ns() // 1000
        assert 0 < (each.round_trip or 0) < 5_000_000
        assert 5 < each.frames < 1000
        assert each.bytes > 50 * each.frames
    assert [(each.where, each.uplink, each.reason) for each in spot.hosts] == [
        (where, here.endpoints["binance-spot"].model_dump()[where][0], "the only one") for where in ("ws", "rest")
    ]
    assert await last_reports(here) == []


async def test_hosts(here: Settings, simulators: Simulators) -> None:
    """The hosts in use are reported, since when and why, and what cannot be reached at all."""
    own = simulators.endpoints["binance-spot"]
    async with refusing() as port:
        refused = f"ws://127.0.0.1:{port}"
        endpoints = {
            "binance-spot": {"ws": [refused, own["ws"]], "rest": own["rest"]},
            "okx": {"ws": refused, "rest": simulators.endpoints["okx"]["rest"]},
        }
        used = load_settings(**here.model_dump() | {"endpoints": endpoints})
        began = time.time_ns() // 1000
        async with ingesting(used, "binance-spot", "okx", timings=OFTEN):
            await until(used, "binance", "binance:BTC-USDT", is_flowing)
            spot, okx = await reported(
                used, lambda found: len(found) == 2 and "cannot be reached" in found[1].hosts[0].reason
            )
    ws, rest = spot.hosts
    assert (ws.uplink, ws.reason) == (own["ws"], f"{refused}: Connection refused")
    assert began < ws.since < time.time_ns() // 1000
    assert (rest.uplink, rest.reason, rest.since) == (own["rest"], "the only one", 0)
    assert okx.hosts[0].reason == "cannot be reached, the only one"
    assert {each.uplink for each in spot.connections} == {own["ws"]}
    assert [(each.state, each.opened_at, each.frames) for each in okx.connections] == [("connecting", 0, 0)]


async def test_without_the_topic(here: Settings) -> None:
    """An ingest whose topic an earlier version has not created ingests all the same."""
    client = AIOKafkaAdminClient(bootstrap_servers=here.kafka)
    await client.start()
    await client.delete_topics([here.topic(CONNECTIONS)])
    await client.close()
    async with ingesting(here, "okx", timings=OFTEN):
        await until(here, "okx", "okx:BTC-USDT", is_flowing)
