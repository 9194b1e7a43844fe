"""`marketprism feeds` and its readers, with a real broker: what ingests report, and instruments that are moved."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import orjson
import pytest
from aiokafka import AIOKafkaProducer
from typer.testing import CliRunner

from ingest.exchanges.okx import Okx
from ingest.move import UNSTEADY
from ingest.timings import Timings
from marketprism.cli import app
from marketprism.cli.common import console
from marketprism.local.broker import free_port
from marketprism.ops import connections
from marketprism.ops.connections import last_reports, move_instrument
from marketprism.simulator import Disconnect, Simulators
from schemas.connections import ConnectionReport, FeedReport, HostInUse, encode_report
from schemas.errors import StackError
from schemas.settings import Settings, load_settings
from schemas.topics import CONNECTIONS
from tests.ingest.reading import ingesting, is_flowing, kinds, read_lines, until

HOST = HostInUse(where="ws", uplink="wss://b", reason="wss://a: refused", since=1_795_708_800_000_000)
CONNECTION = ConnectionReport(
    number=1,
    path="/ws",
    uplink="wss://b",
    state="open",
    opened_at=0,
    symbols=["BTC-USDT", "ETH-USDT"],
    frames=30.0,
    bytes=12_000,
    round_trip=45_000,
)
REPORT = FeedReport(
    ingest="here:1",
    feed="okx",
    capacity=50,
    hosts=[HOST],
    connections=[
        CONNECTION,
        msgspec.structs.replace(
            CONNECTION, number=2, symbols=["SOL-USDT"], frames=10.0, round_trip=None, state="renewing"
        ),
    ],
    answers=[],
)


@pytest.fixture(autouse=True)
def _no_running_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Find no system that runs on this machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(console, "_width", 200)


async def write(settings: Settings, *reports: FeedReport | bytes | None, key: bytes | None = None) -> None:
    """Write reports, or other values under `key`."""
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka) as producer:
        for each in reports:
            value = encode_report(each) if isinstance(each, FeedReport) else each
            of = each.key.encode() if isinstance(each, FeedReport) else key
            await producer.send_and_wait(settings.topic(CONNECTIONS), value, of)


async def run(settings: Settings, *arguments: str) -> tuple[int, str]:
    """Run `marketprism feeds`. Return its status and what it prints, with single spaces."""
    environment = {"MARKETPRISM_KAFKA": settings.kafka, "MARKETPRISM_TOPIC_PREFIX": settings.topic_prefix}
    result = await asyncio.to_thread(CliRunner().invoke, app, ["feeds", *arguments], env=environment)
    return result.exit_code, result.output if "--json" in arguments else _single_spaced(result.output)


def _single_spaced(text: str) -> str:
    return "\n".join(" ".join(line.split()) for line in text.splitlines())


async def test_the_last_report_counts(settings: Settings) -> None:
    """Of each feed and ingest the last report is read. Those of another version, and of a stopped ingest, are not."""
    other = msgspec.structs.replace(REPORT, ingest="there:2")
    stopped = msgspec.structs.replace(REPORT, ingest="gone:3")
    changed = msgspec.structs.replace(REPORT, capacity=7)
    await write(settings, REPORT, other, stopped, changed)
    await write(settings, None, key=stopped.key.encode())
    await write(settings, b"{}", b"nothing", key=b"x:4:okx")
    found = await last_reports(settings)
    assert [each.report for each in found] == [changed, other]
    assert all(each.is_live and 0 <= each.age_s < 5 for each in found)


async def test_reconnecting(settings: Settings) -> None:
    """Only feeds that an ingest is connected to are asked to reconnect; without any, that is an error."""
    code, text = await run(settings, "reconnect", "--feed", "okx")
    assert (code, text) == (1, "error: no ingest is connected to okx: start one, or see its log")
    await write(settings, REPORT)
    code, text = await run(settings, "reconnect", "--feed", "okx", "--feed", "deribit")
    assert (code, text) == (0, "requested to reconnect: okx")


async def test_a_dead_ingest(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed ingest reported last is shown as old, and after a while no more."""
    await write(settings, REPORT)
    monkeypatch.setattr(connections, "_SILENT_S", 0.0)
    assert "last seen " in (await run(settings))[1]
    with pytest.raises(StackError, match=r"no running ingest has connections of okx"):
        await move_instrument(settings, "okx", "BTC-USDT")
    await asyncio.sleep(0.1)
    monkeypatch.setattr(connections, "_KEPT_S", 0.05)
    assert await last_reports(settings) == []


async def test_listed(settings: Settings) -> None:
    """Hosts and connections are listed by feed, with shares of the mean. JSON has the names of the instruments."""
    await write(settings, REPORT)
    assert await run(settings) == (
        0,
        "okx: 2 connections, 3 instruments, 40 frames/s\n"
        "ws wss://b: since 2026-11-26 16:00:00 UTC, wss://a: refused\n"
        "number path symbols frames/s of mean bytes/s latency age state\n"
        "1 /ws 2/50 30 150% 12.0k 45 ms open\n"
        "2 /ws 1/50 10 50% 12.0k renewing",
    )
    code, text = await run(settings, "--json")
    [found] = orjson.loads(text)
    assert code == 0
    assert 0 <= found.pop("age_s") < 5
    assert found == msgspec.to_builtins(REPORT)


async def test_several_ingests(settings: Settings) -> None:
    """Where several ingests run, each feed has the name of its own."""
    await write(settings, REPORT, msgspec.structs.replace(REPORT, ingest="there:2", connections=[]))
    text = (await run(settings))[1]
    assert "40 frames/s, ingest here:1\n" in text
    assert "0 connections, 0 instruments, 0 frames/s, ingest there:2\n" in text


async def test_no_ingest(settings: Settings) -> None:
    """Without an ingest, a topic or a broker, the error is one line that says so."""
    text = f"error: no ingest reports connections at {settings.kafka}: start one, or see its log"
    assert await run(settings) == (1, text)
    assert await run(settings, "move", "BTC-USDT", "--feed", "okx") == (
        1,
        "moving BTC-USDT: waiting until another connection of okx delivers its channels\n"
        "error: no running ingest has connections of okx: see `marketprism feeds`",
    )
    without = settings.model_copy(update={"topic_prefix": "none."})
    assert "error: there is no topic none.control.connections" in (await run(without))[1]
    nowhere = settings.model_copy(update={"kafka": f"127.0.0.1:{free_port()}"})
    assert "no broker answers" in (await run(nowhere))[1]


async def test_no_answer(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ingest that does not answer a request is not waited for without end."""
    await write(settings, REPORT)
    monkeypatch.setattr(connections, "ANSWER_WITHIN_S", 0.5)
    with pytest.raises(StackError, match="has not answered within"):
        await move_instrument(settings, "okx", "BTC-USDT")


@asynccontextmanager
async def two_connections(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Settings, Simulators, set[str], set[str]]]:
    """Ingest three instruments over two connections. Yield the symbols of the first, which is full, and the second."""
    monkeypatch.setattr(Okx, "instruments_per_connection", 2)
    symbols = ["BTC-USDT", "ETH-USDT", "BTC-USDT-PERP"]
    async with Simulators(["okx"]) as simulators:
        here = load_settings(**settings.model_dump() | {"endpoints": simulators.endpoints, "symbols": symbols})
        async with ingesting(here, "okx", timings=Timings(report_interval_s=0.2)):
            for symbol in symbols:
                await until(here, "okx", f"okx:{symbol}", is_flowing)
            first, second = [set(each.symbols) for each in (await last_reports(here))[0].report.connections]
            yield here, simulators, first, second


async def test_moved(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """An instrument is moved by the running ingest without a disconnection, and errors are those that it reports."""
    async with two_connections(settings, monkeypatch) as (here, _, first, second):
        moved, stays = sorted(first)
        code, text = await run(here, "move", moved.lower(), "--feed", "okx")
        assert (code, text.splitlines()[-1]) == (0, f"{moved} has moved from connection 1 to connection 2")
        for arguments, error in (
            ((stays, "--feed", "okx", "--to", "2"), "no free place on connection 2: one serves 2 instruments"),
            ((moved, "--feed", "okx", "--to", "2"), "it is on connection 2 already"),
            (("BTC-USDX", "--feed", "okx"), "unknown symbol 'BTC-USDX': did you mean BTC-USDT?"),
        ):
            code, text = await run(here, "move", *arguments)
            assert (code, text.splitlines()[-1]) == (1, f"error: {arguments[0]} was not moved: {error}")
        [report] = [each.report for each in await last_reports(here)]
    assert [set(each.symbols) for each in report.connections] == [{stays}, second | {moved}]
    of_moved = kinds((await read_lines(here, "okx"))[f"okx:{moved}"])
    assert of_moved.count("renewed") == 1
    assert "disconnected" not in of_moved


async def test_a_socket_is_lost_during_a_move(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The instrument stays where it is, and is not left marked as disconnected."""
    async with two_connections(settings, monkeypatch) as (here, simulators, first, second):
        moved, [there] = min(first), second
        moving = asyncio.create_task(move_instrument(here, "okx", moved))
        await until(here, "okx", f"okx:{moved}", lambda found: "renewing" in found)
        await simulators.plant(Disconnect(feed="okx", symbol=there))
        [answer] = await moving
        assert answer.failure == UNSTEADY
        for symbol in (there, moved):
            await until(here, "okx", f"okx:{symbol}", is_connected_again)


def is_connected_again(found: list[str]) -> bool:
    """Whether a connection follows the last disconnection."""
    reports = [kind for kind in found if kind in ("connected", "disconnected")]
    return "disconnected" in reports and reports[-1] == "connected"
