"""Ingest with the simulated exchanges and a real broker."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator

import aiohttp
import orjson
import pytest
import structlog
from aiokafka import AIOKafkaProducer

from ingest.app import ingest
from ingest.exchanges.binance import BinanceSpot, BinanceUsdm
from ingest.exchanges.okx import Okx
from ingest.exchanges.okx.channels import NAMES
from marketprism.simulator import Disconnect, Limits, Shutdown, Simulators, Stall
from marketprism.simulator.exchanges.binance.markets import BinanceSpot as SimulatedSpot
from marketprism.simulator.plans import Plan
from schemas.errors import SettingsError, StackError
from schemas.raw import RawLine
from schemas.settings import Endpoint, Settings, load_settings
from schemas.topics import CONTROL
from streams.output import Output
from streams.raw_processor import RawProcessor
from tests.ingest.reading import ingesting, kinds, read_lines, read_records, until
from tests.malformed_frames import MALFORMED_FRAMES, malformed

SYMBOLS = ("BTC-USDT", "BTC-USDT-PERP", "NOWHERE-USDT")
SPOT, PERP, OKX_PERP = "binance:BTC-USDT", "binance:BTC-USDT-PERP", "okx:BTC-USDT-PERP"
FEEDS = ("binance-spot", "binance-usdm", "okx")


@pytest.fixture
async def simulators() -> AsyncIterator[Simulators]:
    async with Simulators() as running:
        yield running


@pytest.fixture
def here(settings: Settings, simulators: Simulators) -> Settings:
    """Return the test's settings with the simulated exchanges as endpoints."""
    return with_endpoints(settings, simulators)


def with_endpoints(settings: Settings, simulators: Simulators) -> Settings:
    return load_settings(**settings.model_dump() | {"endpoints": simulators.endpoints, "symbols": SYMBOLS})


async def processed(settings: Settings, exchange: str) -> list[Output]:
    """Process a raw topic as a worker would."""
    outputs = []
    for number, records in (await read_records(settings, exchange)).items():
        partition = RawProcessor(exchange, number, settings)
        outputs += [partition.process(offset, value) for offset, value in records]
    return outputs


def events(outputs: list[Output], topic: str) -> list[dict[str, object]]:
    return [orjson.loads(value) for output in outputs for of, _, value in output.records if of == topic]


async def test_raw_topics_are_complete(here: Settings) -> None:
    """Definition, connection, subscription, frames and snapshot come in order, and lead to live books without a gap."""
    async with ingesting(here, *FEEDS):
        for exchange, key in (("binance", SPOT), ("binance", PERP), ("okx", OKX_PERP)):
            await until(here, exchange, key, lambda found: found.count("frame") > 60)
    for exchange, key in (("binance", SPOT), ("binance", PERP), ("okx", OKX_PERP)):
        found = kinds((await read_lines(here, exchange))[key])
        # A feed with several paths announces itself on each, and its clock is compared meanwhile.
        first = list(dict.fromkeys(kind for kind in found if kind != "clock"))
        assert first[:3] == ["instrument", "connected", "subscribed"]
        assert found[-1] == "stopped"
        if exchange == "binance":
            assert found.index("frame") < found.index("snapshot")
    for exchange in ("binance", "okx"):
        outputs = await processed(here, exchange)
        assert events(outputs, "dead_letters") == []
        assert events(outputs, "market.gaps") == []
        snapshots = {event["symbol"] for event in events(outputs, "market.books") if event["type"] == "snapshot"}
        assert snapshots == {"BTC-USDT", "BTC-USDT-PERP"}


async def test_definitions(here: Settings) -> None:
    """Definitions, including contract sizes, come from the exchange."""
    async with ingesting(here, "okx", "binance-spot"):
        perp = await until(here, "okx", OKX_PERP, lambda found: "instrument" in found)
        spot = await until(here, "binance", SPOT, lambda found: "instrument" in found)
    contract, plain = orjson.loads(perp[0].frame), orjson.loads(spot[0].frame)
    assert (contract["exchange_symbol"], contract["contract_size"], contract["inverse"]) == (
        "BTC-USDT-SWAP",
        "0.01",
        False,
    )
    assert (plain["exchange_symbol"], plain["base"], plain["status"]) == ("BTCUSDT", "BTC", "trading")
    assert float(plain["tick_size"]) > 0
    assert float(contract["lot_size"]) > 0


async def test_ticks_reach_every_partition(here: Settings) -> None:
    """Every partition gets a tick every second."""
    async with ingesting(here, "okx"):
        await asyncio.sleep(3.2)
    for records in (await read_records(here, "okx")).values():
        assert sum(value.count(b'"tick"') for _, value in records) >= 2


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        (Disconnect(feed="binance-spot"), "closed"),
        (Disconnect(feed="binance-spot", close_frame=False), "closed"),
        (Stall(feed="binance-spot", seconds=2.5), "silent"),
    ],
    ids=["disconnect", "abort", "stall"],
)
async def test_reconnects(
    here: Settings, simulators: Simulators, monkeypatch: pytest.MonkeyPatch, plan: Plan, reason: str
) -> None:
    """A connection that is lost or silent is replaced, and the book seeded again."""
    monkeypatch.setattr(BinanceSpot, "connection_timeout_s", 1.5)
    async with ingesting(here, "binance-spot"):
        await until(here, "binance", SPOT, lambda found: "snapshot" in found)
        await simulators.plant(plan)
        await until(here, "binance", SPOT, lambda found: found.count("snapshot") > 1)
    lines = (await read_lines(here, "binance"))[SPOT]
    found = kinds(lines)
    gone = found.index("disconnected")
    assert found[gone + 1 : gone + 4] == ["instrument", "connected", "subscribed"]
    assert reason in orjson.loads(lines[gone].frame)["reason"]
    assert [line.local_timestamp for line in lines] == sorted(line.local_timestamp for line in lines)


async def test_announced_shutdown(here: Settings, simulators: Simulators) -> None:
    """A connection whose end is announced is replaced before: no frame is missing, and no book is seeded again."""
    async with ingesting(here, "binance-spot"):
        await until(here, "binance", SPOT, lambda found: "snapshot" in found)
        await simulators.plant(Shutdown(feed="binance-spot", seconds=6.0))
        await until(here, "binance", SPOT, lambda found: "renewed" in found)
        before = kinds((await read_lines(here, "binance"))[SPOT]).count("frame")
        await until(here, "binance", SPOT, lambda found: found.count("frame") > before + 20)
        found = kinds((await read_lines(here, "binance"))[SPOT])
    assert [kind for kind in found if kind not in ("frame", "clock")] == [
        "instrument", "connected", "subscribed", "instrument", "snapshot",
        "notice", "instrument", "renewing", "subscribed", "renewed",
    ]  # fmt: skip
    assert events(await processed(here, "binance"), "market.gaps") == []


@pytest.mark.parametrize("form", MALFORMED_FRAMES)
async def test_malformed_frames_are_passed_on(here: Settings, simulators: Simulators, form: str) -> None:
    """A malformed frame is in the raw topic unchanged, or described if oversized. The connection stays open."""
    async with ingesting(here, "binance-spot"):
        await until(here, "binance", SPOT, lambda found: "snapshot" in found)
        await (await simulators.plant(malformed(form))).over()
        before = kinds((await read_lines(here, "binance"))[SPOT]).count("frame")
        await until(here, "binance", SPOT, lambda found: found.count("frame") > before + 20)
        lines = await read_lines(here, "binance")
    assert "disconnected" not in kinds(lines[SPOT])
    everything = [line.frame for found in lines.values() for line in found]
    if form == "oversized":
        sizes = [orjson.loads(frame)["bytes"] for frame in everything if b'"oversized"' in frame]
        assert sizes == [len(MALFORMED_FRAMES[form])]
    else:
        assert everything.count(MALFORMED_FRAMES[form]) == 1


@pytest.mark.parametrize(("feed", "key"), [("binance-spot", SPOT), ("binance-usdm", PERP), ("okx", OKX_PERP)])
async def test_snapshot_on_request(here: Settings, feed: str, key: str) -> None:
    """A request in control.ingest, however often repeated, leads to one fresh snapshot of that instrument only."""
    exchange, symbol = key.split(":")

    def snapshots(lines: list[RawLine]) -> int:
        return sum(line.frame.startswith(b'{"lastUpdateId"') or b'"action":"snapshot"' in line.frame for line in lines)

    async with ingesting(here, feed):
        lines = await until(here, exchange, key, lambda found: found.count("frame") > 20)
        await asyncio.sleep(1)
        assert snapshots(lines) == 1
        body = {"request": "snapshot", "exchange": exchange, "symbol": symbol, "reason": "sequence"}
        stamp = time.time_ns() // 1000
        async with AIOKafkaProducer(bootstrap_servers=here.kafka) as producer:
            for age in (0, 0, 0, 60_000_000):
                request = orjson.dumps(body | {"timestamp": stamp - age})
                await producer.send_and_wait(here.topic(CONTROL), request, key=key.encode())
        await asyncio.sleep(3)
    found = await read_lines(here, exchange)
    assert snapshots(found[key]) == 2
    outputs = await processed(here, exchange)
    assert events(outputs, "market.gaps") == []


async def test_acknowledged_but_not_subscribed(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Binance acknowledges a stream of another path but never sends it: its list of subscriptions shows that."""
    quotes = BinanceUsdm.channels["quotes"]._replace(path="/market/stream")
    monkeypatch.setattr(BinanceUsdm, "channels", {"quotes": quotes})
    async with ingesting(here, "binance-usdm"):
        lines = await until(here, "binance", PERP, lambda found: "refused" in found)
    assert orjson.loads(lines[kinds(lines).index("refused")].frame)["channels"] == ["quotes"]


async def test_used_weight(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others at our IP address have used up the budget: nothing more is requested until the window is over."""
    window = 4  # s, instead of a minute
    monkeypatch.setattr(SimulatedSpot, "weight_window", window)
    monkeypatch.setattr("ingest.rest.pool._MINUTE", window)
    await asyncio.sleep(window - time.time() % window)
    end = (time.time() // window + 1) * window
    await use_weight(here, 5950)  # of 6000; exchangeInfo takes 20 or 40, a snapshot 50
    async with ingesting(here, "binance-spot"):
        lines = await until(here, "binance", SPOT, lambda found: "snapshot" in found)
    came = lines[kinds(lines).index("snapshot")].local_timestamp / 1e9
    assert end - 0.01 <= came < end + window
    assert "rate_limited" not in kinds(lines)


async def test_polls(here: Settings) -> None:
    """What only REST offers is polled: connected with a definition, answered at once, stopped at the end."""
    settings = load_settings(**here.model_dump() | {"kinds": [], "channels": ["open_interest", "account_ratios"]})
    async with ingesting(settings, "binance-usdm"):
        await until(settings, "binance", PERP, lambda found: found.count("answer") >= 2)
    lines = (await read_lines(settings, "binance"))[PERP]
    assert kinds(lines)[:2] == ["instrument", "connected"]
    assert kinds(lines)[-1] == "stopped"
    assert {orjson.loads(line.frame)["channel"] for line in lines if b'"answer"' in line.frame} == {
        "open_interest",
        "account_ratios",
    }
    outputs = await processed(settings, "binance")
    assert events(outputs, "dead_letters") == []
    assert events(outputs, "market.open_interest")
    assert events(outputs, "market.long_short_ratios")


async def use_weight(settings: Settings, weight: int) -> None:
    """Request depths until the given weight of Binance spot's budget is used."""
    async with aiohttp.ClientSession() as http:
        for limit, each in ((5000, 250), (1000, 50)):
            for _ in range(weight // each):
                query = f"/api/v3/depth?symbol=ETHUSDT&limit={limit}"
                async with http.get(settings.endpoints["binance-spot"].rest[0] + query) as answer:
                    assert answer.status == 200
            weight %= each


async def test_rejected_subscription(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rejected subscription is marked, and the others are not affected."""
    quotes = Okx.channels["quotes"]._replace(name="nonsense")
    monkeypatch.setattr(Okx, "channels", {**Okx.channels, "quotes": quotes})
    monkeypatch.setitem(NAMES, "nonsense", "quotes")
    async with ingesting(here, "okx"):
        lines = await until(here, "okx", OKX_PERP, lambda found: "refused" in found and "frame" in found)
    rejected = orjson.loads(lines[kinds(lines).index("refused")].frame)
    assert rejected["channels"] == ["quotes"]
    assert rejected["reason"]


async def test_text_ping(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """An idle OKX connection is kept alive by `ping`, and the answers do not get into the raw topic."""
    monkeypatch.setattr(Okx, "ping_after_s", 0.3)
    monkeypatch.setattr(Okx, "connection_timeout_s", 2.0)
    async with Simulators(["okx"], rate=0, limits=Limits(idle_timeout=2.0)) as quiet:
        here = with_endpoints(settings, quiet)
        async with ingesting(here, "okx"):
            await until(here, "okx", OKX_PERP, lambda found: "frame" in found)
            await asyncio.sleep(4)
            lines = (await read_lines(here, "okx"))[OKX_PERP]
    assert "disconnected" not in kinds(lines)
    assert not [line for line in lines if b"pong" in line.frame]


async def test_clean_shutdown(here: Settings) -> None:
    """On SIGTERM `python -m ingest` marks its connections as stopped, and exits with 0."""
    command = [sys.executable, "-m", "ingest", "--feed", "okx"]
    process = await asyncio.create_subprocess_exec(*command, env=os.environ | here.environment())
    await until(here, "okx", OKX_PERP, lambda found: found.count("frame") > 5)
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 10) == 0
    assert kinds((await read_lines(here, "okx"))[OKX_PERP])[-1] == "stopped"


async def test_wrong_number_of_partitions(here: Settings) -> None:
    """Topics that do not fit the settings are not an error of one feed: they end ingest."""
    other = load_settings(**here.model_dump() | {"partitions": 3})
    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.timeout(10), ingesting(other, "okx"):
            await asyncio.sleep(8)
    assert caught.group_contains(StackError)


async def test_misspelt_feed() -> None:
    """The error for an unknown feed names the nearest one."""
    command = [sys.executable, "-m", "ingest", "--feed", "binnce"]
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, text = await process.communicate()
    assert process.returncode == 1
    assert b"did you mean binance-" in text
    assert b"Traceback" not in text


async def test_nothing_listed(here: Settings) -> None:
    """If no exchange lists any of the symbols, ingest ends; the log names similar ones that are listed."""
    wrong = here.model_copy(update={"symbols": ("BTC-USTD", "ETH-USDT-261225"), "feeds": ("okx", "binance-spot")})
    with structlog.testing.capture_logs() as logs, pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(ingest(wrong), 20)
    assert caught.group_contains(
        SettingsError, match=r"no exchange \(feeds okx, binance-spot\) lists any of: BTC-USTD, ETH-USDT-261225$"
    )
    found = {log["feed"]: log for log in logs if log["event"].startswith("not listed by the exchange")}
    assert found["binance-spot"]["symbols"] == ["BTC-USTD"]
    assert found["binance-spot"]["nearest"]["BTC-USTD"][0] == "BTC-USDT"
    assert found["okx"]["symbols"] == ["BTC-USTD", "ETH-USDT-261225"]


async def test_one_listed(here: Settings) -> None:
    """As long as one exchange lists one of the symbols, or has not answered, ingest goes on."""
    endpoints = here.endpoints | {"htx-spot": Endpoint(rest=("http://127.0.0.1:9",))}
    some = {"symbols": ("BTC-USTD", "BTC-USDT-PERP"), "endpoints": endpoints}
    async with ingesting(here.model_copy(update=some), "binance-spot", "okx"):
        await until(here, "okx", OKX_PERP, lambda found: "frame" in found)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ingest(here.model_copy(update=some), ["binance-spot", "htx-spot"]), 3)
