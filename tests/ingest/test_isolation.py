"""An error of one part is that part's alone, and it is started again."""

import asyncio
import time
from collections.abc import AsyncIterator
from decimal import InvalidOperation
from http import HTTPStatus
from itertools import pairwise
from typing import Any

import orjson
import pytest
import structlog
from aiokafka import AIOKafkaProducer
from structlog.testing import capture_logs
from structlog.typing import EventDict
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from ingest.exchanges.binance import BinanceSpot
from ingest.exchanges.okx import Okx
from ingest.feed_manager import FeedManager
from ingest.snapshots import Snapshots
from ingest.subscriptions import Subscriptions
from ingest.supervision import supervise
from marketprism.simulator import Limits, Malformed, Simulators
from schemas.errors import StackError
from schemas.settings import Endpoint, Settings, load_settings
from schemas.topics import CONTROL
from tests.ingest.reading import ingesting, kinds, read_lines, until

SPOT, OKX = "binance:BTC-USDT", "okx:BTC-USDT"


@pytest.fixture
async def simulators() -> AsyncIterator[Simulators]:
    async with Simulators(["binance-spot", "okx"]) as running:
        yield running


@pytest.fixture
def here(settings: Settings, simulators: Simulators) -> Settings:
    return load_settings(
        **settings.model_dump() | {"endpoints": simulators.endpoints, "symbols": ["BTC-USDT", "ETH-USDT"]}
    )


def flowing(found: list[str]) -> bool:
    return found.count("frame") > 20


def errors(logs: list[EventDict], what: str) -> list[EventDict]:
    return [entry for entry in logs if entry.get("what") == what]


@pytest.mark.parametrize(
    "error", [AttributeError("x"), InvalidOperation(), RecursionError(), ExceptionGroup("", [KeyError(1)])]
)
async def test_a_feed_that_fails(here: Settings, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Whatever its definitions raise, the other feed goes on, and this one too as soon as it can."""
    working = BinanceSpot.instruments
    broken = [error, error]

    async def instruments(self: BinanceSpot, *arguments: Any) -> Any:
        if broken:
            raise broken.pop()
        return await working(self, *arguments)

    monkeypatch.setattr(BinanceSpot, "instruments", instruments)
    with capture_logs() as logs:
        async with ingesting(here, "binance-spot", "okx"):
            await until(here, "okx", OKX, flowing)
            await until(here, "binance", SPOT, flowing)
    told = errors(logs, "feed")
    assert [entry["exc_info"] for entry in told] == [True, False]
    assert "disconnected" not in kinds((await read_lines(here, "okx"))[OKX])[:-1]


@pytest.mark.parametrize("method", ["look_after", "mend", "first_frame"])
async def test_a_connection_that_fails(here: Settings, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """An error within one connection is a lost connection: marked, logged with its traceback, and made again."""
    broken = [AttributeError("broken")]

    def fails(self: Any, *arguments: Any) -> Any:
        if self._exchange.name == "okx" and broken:
            raise broken.pop()
        return working(self, *arguments)

    working = getattr(Subscriptions, method)
    monkeypatch.setattr(Subscriptions, method, fails)
    with capture_logs() as logs:
        async with ingesting(here, "binance-spot", "okx"):
            await until(here, "okx", OKX, lambda found: "disconnected" in found and found.count("connected") == 2)
            await until(here, "okx", OKX, lambda found: flowing(found[found.index("disconnected") :]))
            await until(here, "binance", SPOT, flowing)
    assert "disconnected" not in kinds((await read_lines(here, "binance"))[SPOT])[:-1]
    assert len([entry for entry in logs if entry.get("exc_info")]) == 1


async def test_a_request_that_fails(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a request of the control topic raises, and what is none, ends nothing: the next one is obeyed."""
    asked: list[str] = []

    def fails(self: FeedManager, key: str, caused_at: int) -> None:
        asked.append(key)
        raise AttributeError("broken")

    monkeypatch.setattr(FeedManager, "request_snapshot", fails)
    async with ingesting(here, "okx"):
        await until(here, "okx", OKX, flowing)
        body = {"request": "snapshot", "exchange": "okx", "symbol": "BTC-USDT"}
        good = body | {"timestamp": time.time_ns() // 1000}
        feeds = {"request": "reconnect", "feeds": 7, "timestamp": 1}
        odd: list[Any] = [body | {"timestamp": 1e300}, body | {"timestamp": []}, [], {"request": []}, feeds]
        async with AIOKafkaProducer(bootstrap_servers=here.kafka) as producer:
            for request in (*odd, good, good):
                await producer.send_and_wait(here.topic(CONTROL), orjson.dumps(request))
        await asyncio.sleep(2)
    assert asked == [OKX, OKX]
    assert "disconnected" not in kinds((await read_lines(here, "okx"))[OKX])[:-1]


@pytest.mark.parametrize(
    "frame",
    [
        '{"event":"subscribe"}', '{"event":"subscribe","arg":[]}', '{"event":"error","id":{}}', '{"event":{}}',
        '{"event":"notice","code":123456789012345678901234567890}',
        '{"event":"subscribe","arg":{"channel":[],"instId":{}}}',
        '{"arg":{"channel":"books","instId":["BTC-USDT"]}}', '{"event":"' + "x" * 5000 + '"}', "[" * 3000,
    ],
)  # fmt: skip
async def test_odd_control_frames(here: Settings, simulators: Simulators, frame: str) -> None:
    """A malformed control frame does not end the socket."""
    async with ingesting(here, "okx"):
        await until(here, "okx", OKX, flowing)
        await (await simulators.plant(Malformed(feed="okx", symbol="BTC-USDT", form="given", frame=frame))).over()
        before = kinds((await read_lines(here, "okx"))[OKX]).count("frame")
        await until(here, "okx", OKX, lambda found: found.count("frame") > before + 20)
    assert "disconnected" not in kinds((await read_lines(here, "okx"))[OKX])[:-1]


async def test_the_writer_ends_all(here: Settings) -> None:
    """Topics that do not fit the settings are no error of a feed: ingest ends."""
    other = load_settings(**here.model_dump() | {"partitions": 3})
    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.timeout(10), ingesting(other, "okx"):
            await asyncio.sleep(8)
    assert caught.group_contains(StackError)


async def test_supervision_ends_with_its_task() -> None:
    """Cancelling is no error, and a part that returns is not started again."""
    runs = 0

    async def run() -> None:
        nonlocal runs
        runs += 1
        await asyncio.sleep(3600)

    task = asyncio.create_task(supervise("x", run, structlog.get_logger()))
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.wait({task})
    assert (runs, task.cancelled()) == (1, True)


async def test_quiet_books(settings: Settings) -> None:
    """A book of which no frame comes has its snapshot some seconds after its acknowledgement."""
    async with Simulators(["binance-spot"], rate=0) as quiet:
        here = load_settings(**settings.model_dump() | {"endpoints": quiet.endpoints, "symbols": ["BTC-USDT"]})
        async with ingesting(here, "binance-spot"):
            lines = await until(here, "binance", SPOT, lambda found: "snapshot" in found)
            await asyncio.sleep(3)
            found = kinds((await read_lines(here, "binance"))[SPOT])
    asked = lines[kinds(lines).index("subscribed")].local_timestamp
    assert 1.9e9 < lines[kinds(lines).index("snapshot")].local_timestamp - asked < 4e9
    assert "frame" not in found
    assert found.count("snapshot") == 1


async def test_heartbeats_do_not_wait_for_repairs(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The messages of the hour are used up and repairs are asked for without end: the connection lives."""
    monkeypatch.setattr(Okx, "messages", (8, 3600))
    monkeypatch.setattr(Okx, "ping_after", 0.3)
    monkeypatch.setattr(Okx, "connection_timeout_s", 3.0)
    monkeypatch.setattr("ingest.snapshots.PAUSE", 0.05)
    monkeypatch.setattr("ingest.snapshots._MOST_PAUSE", 0.1)
    async with Simulators(["okx"], rate=0, limits=Limits(idle_timeout=2.0)) as quiet:
        changes = {"endpoints": quiet.endpoints, "symbols": ["BTC-USDT", "ETH-USDT"]}
        here = load_settings(**settings.model_dump() | changes)
        async with ingesting(here, "okx"), AIOKafkaProducer(bootstrap_servers=here.kafka) as producer:
            await until(here, "okx", OKX, lambda found: "frame" in found)
            for _ in range(40):
                stamp = time.time_ns() // 1000
                request = {"request": "snapshot", "exchange": "okx", "symbol": "BTC-USDT", "timestamp": stamp}
                await producer.send_and_wait(here.topic(CONTROL), orjson.dumps(request))
                await asyncio.sleep(0.2)
            lines = (await read_lines(here, "okx"))[OKX]
    assert "disconnected" not in kinds(lines)
    assert 2 <= sum(b'"action":"snapshot"' in line.frame for line in lines) <= 4


async def test_snapshots_asked_for_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request that follows at once waits twice as long; a new subscription's does not."""
    monkeypatch.setattr("ingest.snapshots.PAUSE", 0.1)
    placed: list[float] = []

    async def fetch(key: str) -> int:
        placed.append(time.monotonic())
        return 0

    async with asyncio.TaskGroup() as tasks:
        snapshots = Snapshots(tasks, fetch)
        for _ in range(320):
            snapshots.request("okx:BTC-USDT", time.time_ns() // 1000)
            await asyncio.sleep(0.01)
        pauses = [later - before for before, later in pairwise(placed)]
        assert [round(pause, 1) for pause in pauses[:4]] == pytest.approx([0.2, 0.4, 0.8, 1.6], abs=0.11)
        snapshots.forget("okx:BTC-USDT")
        count = len(placed)
        snapshots.request("okx:BTC-USDT", time.time_ns() // 1000, first=True)
        await asyncio.sleep(0.05)
        assert len(placed) == count + 1


async def test_a_handshake_that_is_refused(here: Settings) -> None:
    """A socket is not asked for again before the exchange allows it."""
    asked: list[float] = []

    def refuse(connection: ServerConnection, request: Request) -> Response:
        asked.append(time.monotonic())
        response = connection.respond(HTTPStatus.TOO_MANY_REQUESTS, "slowly")
        response.headers["Retry-After"] = "4"
        return response

    async with serve(lambda connection: connection.wait_closed(), "127.0.0.1", 0, process_request=refuse) as server:
        port = server.sockets[0].getsockname()[1]
        rest = here.endpoints["binance-spot"].rest
        endpoints = {"binance-spot": Endpoint(ws=f"ws://127.0.0.1:{port}", rest=rest)}
        refused = load_settings(**here.model_dump() | {"endpoints": endpoints})
        async with ingesting(refused, "binance-spot"):
            await asyncio.sleep(6)
    assert len(asked) == 2
    assert asked[1] - asked[0] >= 4
