"""The live view, drawn to text."""

import asyncio
import math
import threading
from io import StringIO
from pathlib import Path
from typing import TypeVar

import orjson
import psutil
import pytest
from aiokafka import AIOKafkaProducer
from rich.console import Console

from marketprism.local.broker import free_port
from marketprism.local.disk import DiskWatch
from marketprism.local.processes import Child, Status, says
from marketprism.local.reading import Reading
from marketprism.local.view import Picture, line, render, summary
from marketprism.ops.lag import Offsets
from marketprism.ops.raw_topic_stats import RawTopicStats
from marketprism.ops.table_stats import Store, TableStats
from marketprism.ops.topics import topic_ends
from schemas.errors import StorageError
from schemas.markers import Connected, Notice, Tick
from schemas.raw import encode_line, encode_marker
from schemas.settings import Settings, load_settings

T = TypeVar("T")

SIGNAL = {
    "symbol": "BTC-USDT", "type": "closed", "reason": "spread_gone", "buy_exchange": "okx", "sell_exchange": "binance",
    "net_bps": 12.5, "profit": 99.5, "lifetime": 1_500_000, "at": "2026-11-20 10:11:12.345678",
}  # fmt: skip


def picture() -> Picture:
    watch = RawTopicStats(load_settings())
    symbols = ("BTC-USDT", "ETH-USDT", "BTC-USDT-PERP", "ETH-USDT-PERP")
    lines = b"".join(encode_marker(1, f"okx:{symbol}", Notice()) for symbol in symbols)
    lines += encode_marker(1, "okx:BTC-USDT", Connected()) + encode_line(2, "okx:BTC-USDT", b"{}")
    watch.take(lines + encode_line(3, "binance:?", b"rubbish") + encode_marker(4, "okx:*", Tick()))
    offsets = Offsets({"market.trades": 7, "dead_letters": 1}, {"marketprism-sink": 3}, {"raw.okx": 5})
    stored = TableStats({"trades": 6}, {"okx": 4}, [SIGNAL], {"opened": 2, "closed": 1})
    disk = DiskWatch(Path.cwd(), 0)
    return Picture("demo", load_settings(), watch, [], reading(offsets), reading(stored), {"okx": 10.0}, disk, "")


def reading(value: T) -> Reading[T]:
    """A figure that was read just now."""

    async def read() -> T:
        return value

    made = Reading("figures", value, read)
    asyncio.run(made.once())
    return made


def test_every_part_is_drawn() -> None:
    """Feeds with state, books and lag, events, signals; frames of no instrument count for their exchange."""
    console = Console(file=StringIO(), width=150)
    console.print(render(picture()))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    drawn = "okx|● connected|○ not connected|4/4|BTC-USDT|okx → binance|closed (spread gone)|12.5|99.50|1.50 s|opened 2"
    for expected in drawn.split("|"):
        assert expected in text


def test_line_and_summary() -> None:
    """What stands for the view without a terminal, and at the end."""
    assert "frames 2 (10/s)" in line(picture())
    text = summary(picture(), 60)
    for expected in (
        "frames in      2",
        "opened 2  closed 1",
        "rows stored    6",
        "lag            3",
        "dead letters   1",
    ):
        assert expected in text


async def test_old_figures_are_marked() -> None:
    """What could not be read is shown as last known, with its age, in the view, in the line and in the summary."""
    shown = await asyncio.to_thread(picture)
    assert shown.warnings == []
    shown.offsets._read_at -= 12
    shown.stored = Reading("ClickHouse", TableStats(), no_answer)
    shown.disk.state, shown.disk.free = "low", 400_000_000
    shown.statuses.append(Status(Child("ingest", [], Path("log"), says("")), "running"))
    shown.watch._heard_at -= 30
    console = Console(file=StringIO(), width=150)
    console.print(render(shown))
    for text in (console.file.getvalue(), line(shown), summary(shown, 1)):  # type: ignore[attr-defined]
        assert "Kafka as of 12 s ago" in text
        assert "ClickHouse not known yet" in text
        assert "frames as of 30 s ago" in text
        assert "disk low: 0.40 GB free" in text


async def no_answer() -> TableStats:
    raise TimeoutError


async def test_reading_survives_every_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is raised, and also when nothing comes: the value stays with its age, and a new one replaces it."""
    monkeypatch.setattr("marketprism.local.reading._EVERY", 0.01)
    monkeypatch.setattr("marketprism.local.reading._ANSWER_WITHIN", 0.05)
    errors: list[Exception | None] = [
        TimeoutError(), OSError(), StorageError("x"), orjson.JSONDecodeError("x", "", 0), KeyError("name"), None,
    ]  # fmt: skip

    async def read() -> int:
        if not errors:
            return 2
        if (error := errors.pop(0)) is None:
            await asyncio.sleep(60)
            return 3
        raise error

    reading = Reading("figures", 1, read)
    assert math.isinf(reading.age)
    polling = asyncio.create_task(reading.poll())
    async with asyncio.timeout(5):
        while reading.value != 2:
            await asyncio.sleep(0.01)
    assert not errors
    assert reading.age < 1
    polling.cancel()


async def test_the_view_opens_no_directory(tmp_path: Path) -> None:
    """Without a sink the question fails at once, whatever stands in the directory; nothing is opened, nothing stays."""
    directory = tmp_path / "clickhouse"
    directory.mkdir()
    process = psutil.Process()
    async with Store(load_settings(clickhouse=f"chdb://{directory}")) as store:
        with pytest.raises(StorageError, match="no sink answers"):
            await store.read()
        (directory / "sql_address").write_text(f"127.0.0.1:{free_port()}")  # what a killed sink leaves
        with pytest.raises(StorageError, match="does not answer"):
            await store.read()
        before = process.num_fds(), threading.active_count()
        for _ in range(50):
            with pytest.raises(StorageError):
                await store.read()
        assert (process.num_fds(), threading.active_count()) == before
    assert [path.name for path in directory.iterdir()] == ["sql_address"]


async def test_a_server_without_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sink that accepts and says nothing, and one that talks nonsense, are errors within the time for an answer."""
    monkeypatch.setattr("marketprism.ops.table_stats._ANSWER_WITHIN", 0.2)
    answers = [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{no",
        b"HTTP/1.1 503 Busy\r\n\r\n",
        b"nonsense\r\n\r\n",
    ]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answers.pop(0))
        await asyncio.sleep(0.5)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    (tmp_path / "sql_address").write_text(f"127.0.0.1:{port}")
    async with server, Store(load_settings(clickhouse=f"chdb://{tmp_path}")) as store:
        while answers:
            with pytest.raises(StorageError):
                await store.read()


async def test_frames_of_earlier_runs_are_not_counted(settings: Settings) -> None:
    """The watch begins where the run began, and goes on behind a record that is none."""
    topic = settings.topic("raw.okx")
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka) as producer:
        for n in range(50):
            await producer.send_and_wait(topic, encode_line(n, "okx:BTC-USDT", b"{}"), partition=0)
        watch = RawTopicStats(settings, await topic_ends(settings))
        running = asyncio.create_task(watch.run())
        for value in (encode_line(1, "okx:BTC-USDT", b"{}"), b"rubbish\n", encode_line(2, "okx:BTC-USDT", b"{}")):
            await producer.send_and_wait(topic, value, partition=0)
        async with asyncio.timeout(15):
            while watch.frames["okx"] < 2:
                await asyncio.sleep(0.05)
    await asyncio.sleep(0.2)
    assert watch.frames["okx"] == 2
    running.cancel()
