"""Connections: internal errors, malformed control frames, heartbeats."""

import asyncio
import time
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer
from structlog.testing import capture_logs

from ingest.exchanges.okx import Okx
from ingest.subscriptions import Subscriptions
from ingest.timings import Timings
from marketprism.simulator import Limits, Malformed, Simulators
from schemas.settings import Settings, load_settings
from schemas.topics import CONTROL
from tests.ingest.reading import ingesting, is_flowing, kinds, read_lines, until

SPOT, OKX = "binance:BTC-USDT", "okx:BTC-USDT"


@pytest.mark.parametrize("method", ["maintain", "recover_silent", "on_first_frame"])
async def test_internal_errors(here: Settings, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """After an internal error a connection is marked as lost, logged with the traceback, and replaced."""
    errors = [AttributeError("broken")]

    def fails(self: Any, *arguments: Any) -> Any:
        if self._connector.name == "okx" and errors:
            raise errors.pop()
        return working(self, *arguments)

    working = getattr(Subscriptions, method)
    monkeypatch.setattr(Subscriptions, method, fails)
    with capture_logs() as logs:
        async with ingesting(here, "binance-spot", "okx"):
            await until(here, "okx", OKX, lambda found: "disconnected" in found and found.count("connected") == 2)
            await until(here, "okx", OKX, lambda found: is_flowing(found[found.index("disconnected") :]))
            await until(here, "binance", SPOT, is_flowing)
    assert "disconnected" not in kinds((await read_lines(here, "binance"))[SPOT])
    assert len([entry for entry in logs if entry.get("exc_info")]) == 1


@pytest.mark.parametrize(
    "frame",
    [
        '{"event":"subscribe"}', '{"event":"subscribe","arg":[]}', '{"event":"error","id":{}}', '{"event":{}}',
        '{"event":"notice","code":123456789012345678901234567890}',
        '{"event":"subscribe","arg":{"channel":[],"instId":{}}}',
        '{"arg":{"channel":"books","instId":["BTC-USDT"]}}', '{"event":"' + "x" * 5000 + '"}', "[" * 3000,
    ],
)  # fmt: skip
async def test_malformed_control_frames(here: Settings, simulators: Simulators, frame: str) -> None:
    """A malformed control frame does not close the socket."""
    async with ingesting(here, "okx"):
        await until(here, "okx", OKX, is_flowing)
        await (await simulators.plant(Malformed(feed="okx", symbol="BTC-USDT", form="given", frame=frame))).over()
        before = kinds((await read_lines(here, "okx"))[OKX]).count("frame")
        await until(here, "okx", OKX, lambda found: found.count("frame") > before + 20)
    assert "disconnected" not in kinds((await read_lines(here, "okx"))[OKX])


async def test_heartbeats_do_not_wait_for_repairs(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Endless repairs use up the hour's messages: the connection is kept alive all the same."""
    monkeypatch.setattr(Okx, "message_rate", (8, 3600))
    monkeypatch.setattr(Okx, "ping_after_s", 0.3)
    monkeypatch.setattr(Okx, "connection_timeout_s", 3.0)
    timings = Timings(snapshot_pause_s=0.05, max_snapshot_pause_s=0.1)
    async with Simulators(["okx"], rate=0, limits=Limits(idle_timeout=2.0)) as quiet:
        changes = {"endpoints": quiet.endpoints, "symbols": ["BTC-USDT", "ETH-USDT"]}
        here = load_settings(**settings.model_dump() | changes)
        async with (
            ingesting(here, "okx", timings=timings),
            AIOKafkaProducer(bootstrap_servers=here.kafka) as producer,
        ):
            await until(here, "okx", OKX, lambda found: "frame" in found)
            for _ in range(40):
                stamp = time.time_ns() // 1000
                request = {"request": "snapshot", "exchange": "okx", "symbol": "BTC-USDT", "timestamp": stamp}
                await producer.send_and_wait(here.topic(CONTROL), orjson.dumps(request))
                await asyncio.sleep(0.2)
            lines = (await read_lines(here, "okx"))[OKX]
    assert "disconnected" not in kinds(lines)
    assert 2 <= sum(b'"action":"snapshot"' in line.frame for line in lines) <= 4


async def test_a_frame_that_cannot_be_split(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is kept whole under no instrument, becomes a dead letter there, and the connection goes on."""

    def fails(self: Any, frame: bytes) -> Any:
        raise ValueError("no rows")

    monkeypatch.setattr(Okx, "split", fails)
    symbol = "BTC-USDT-PERP"
    settings = load_settings(**here.model_dump() | {"symbols": [symbol], "kinds": ["liquidations", "trades"]})
    async with ingesting(settings, "okx"):
        await until(settings, "okx", "okx:?", lambda found: "frame" in found)
        await until(settings, "okx", f"okx:{symbol}", is_flowing)
    lines = await read_lines(settings, "okx")
    assert b'"liquidation-orders"' in lines["okx:?"][0].frame
    assert "disconnected" not in kinds(lines[f"okx:{symbol}"])
