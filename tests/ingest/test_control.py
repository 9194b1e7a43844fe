"""Requests of the control topic."""

import asyncio
import time
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from ingest.control import MAX_AGE, consume_requests, parse_request
from ingest.feed_manager import FeedManager
from marketprism.ops.control import ask_to_refresh
from schemas.control import MoveRequest, ReconnectRequest, RefreshRequest, Request, SnapshotRequest
from schemas.settings import Settings
from schemas.topics import CONTROL
from tests.ingest.reading import ingesting, is_flowing, kinds, read_lines, until

NOW = 1_790_000_000_000_000
OKX = "okx:BTC-USDT"


def request(**changes: object) -> bytes:
    body = {"request": "snapshot", "exchange": "okx", "symbol": "BTC-USDT", "reason": "sequence", "timestamp": NOW}
    return orjson.dumps(body | changes)


def test_recent() -> None:
    """A recent request is accepted, with the time of its cause."""
    assert parse_request(request(), NOW - 1, NOW) == SnapshotRequest(
        exchange="okx", symbol="BTC-USDT", reason="sequence", timestamp=NOW
    )


def test_reconnect() -> None:
    """The operator's request names the feeds."""
    body = orjson.dumps({"request": "reconnect", "feeds": ["okx", "deribit"], "timestamp": NOW})
    assert parse_request(body, NOW - 1, NOW) == ReconnectRequest(["okx", "deribit"], NOW)


def test_refresh() -> None:
    """The request for the listings names the feeds."""
    body = orjson.dumps({"request": "refresh", "feeds": ["okx"], "timestamp": NOW})
    assert parse_request(body, NOW - 1, NOW) == RefreshRequest(["okx"], NOW)


def test_move() -> None:
    """The operator's request names an instrument, its feed and the connection, if it is not the idlest."""
    body = {"request": "move", "id": "7", "feed": "okx", "symbol": "BTC-USDT", "timestamp": NOW}
    wanted = MoveRequest(id="7", feed="okx", symbol="BTC-USDT", timestamp=NOW)
    assert parse_request(orjson.dumps(body), NOW - 1, NOW) == wanted
    found = parse_request(orjson.dumps(body | {"target": 3}), NOW - 1, NOW)
    assert found == MoveRequest(id="7", feed="okx", symbol="BTC-USDT", target=3, timestamp=NOW)


@pytest.mark.parametrize("field", ["id", "symbol"])
def test_a_move_with_an_endless_text(field: str) -> None:
    """Reports repeat the id, and names are compared with the symbol: neither may be larger than a name is."""
    body = {"request": "move", "id": "7", "feed": "okx", "symbol": "BTC-USDT", "timestamp": NOW}
    assert parse_request(orjson.dumps(body | {field: 1000 * "A"}), NOW - 1, NOW) is None


@pytest.mark.parametrize("timestamp", [NOW - MAX_AGE - 1, NOW - 60_000_001])
def test_old(timestamp: int) -> None:
    """Requests of a replay, and those from before our start, are ignored."""
    assert parse_request(request(timestamp=timestamp), NOW - 60_000_000, NOW) is None
    assert parse_request(request(), NOW + 1, NOW + 1) is None


@pytest.mark.parametrize(
    "value", [None, b"", b"[]", b"{}", request(request="dance"), request(timestamp="soon"), request(timestamp=1e300)]
)
def test_invalid(value: bytes | None) -> None:
    """Anything else is ignored."""
    assert parse_request(value, 0, NOW) is None


async def test_a_failing_request(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither an invalid request nor an error while handling one affects the requests after it."""
    requested: list[str] = []

    def fails(self: FeedManager, key: str, caused_at: int) -> None:
        requested.append(key)
        raise AttributeError("broken")

    monkeypatch.setattr(FeedManager, "request_snapshot", fails)
    async with ingesting(here, "okx"):
        await until(here, "okx", OKX, is_flowing)
        body = {"request": "snapshot", "exchange": "okx", "symbol": "BTC-USDT"}
        good = body | {"timestamp": time.time_ns() // 1000}
        feeds = {"request": "reconnect", "feeds": 7, "timestamp": 1}
        invalid: list[Any] = [body | {"timestamp": 1e300}, body | {"timestamp": []}, [], {"request": []}, feeds]
        async with AIOKafkaProducer(bootstrap_servers=here.kafka) as producer:
            for value in (*invalid, good, good):
                await producer.send_and_wait(here.topic(CONTROL), orjson.dumps(value))
        await asyncio.sleep(2)
    assert requested == [OKX, OKX]
    assert "disconnected" not in kinds((await read_lines(here, "okx"))[OKX])


async def test_before_the_consumer_is_ready(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that comes while the consumer starts is processed, once."""
    start = AIOKafkaConsumer.start

    async def slow_start(consumer: AIOKafkaConsumer) -> None:
        await ask_to_refresh(settings, ["okx"])
        await start(consumer)

    monkeypatch.setattr(AIOKafkaConsumer, "start", slow_start)
    found: list[Request] = []
    consuming = asyncio.create_task(consume_requests(settings, found.append))
    try:
        async with asyncio.timeout(20):
            while not found:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
    finally:
        consuming.cancel()
    assert [type(each) for each in found] == [RefreshRequest]
