"""Render the live view to text, and read its values."""

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
from marketprism.local.disk import DiskMonitor
from marketprism.local.polled_value import PolledValue
from marketprism.local.processes import Child, ChildStatus, says
from marketprism.local.summary import summary
from marketprism.local.view import ViewState, render, status_line
from marketprism.ops.lag import Lag
from marketprism.ops.raw_topic_stats import RawTopicStats
from marketprism.ops.table_stats import TableStats, TableStatsReader
from marketprism.ops.topics import topic_ends
from schemas.errors import StorageError
from schemas.instruments import assumed_instrument
from schemas.markers import Connected, Definition, Tick
from schemas.raw import encode_line, encode_marker
from schemas.settings import Settings, load_settings

T = TypeVar("T")

SIGNAL = {
    "symbol": "BTC-USDT", "type": "closed", "reason": "spread_gone", "buy_exchange": "okx", "sell_exchange": "binance",
    "net_bps": 12.5, "profit": 99.5, "lifetime": 1_500_000, "at": "2026-11-20 10:11:12.345678",
}  # fmt: skip


def view_state() -> ViewState:
    raw_stats = RawTopicStats(load_settings())
    symbols = ("BTC-USDT", "ETH-USDT", "BTC-USDT-PERP", "ETH-USDT-PERP")
    okx = [assumed_instrument("okx", "okx", symbol) for symbol in symbols]
    lines = b"".join(encode_marker(1, each.key, Definition(each)) for each in okx)
    lines += encode_marker(1, "okx:BTC-USDT", Connected()) + encode_line(2, "okx:BTC-USDT", b"{}")
    raw_stats.add_record(lines + encode_line(3, "binance:?", b"malformed") + encode_marker(4, "okx:*", Tick()))
    lag = Lag({"market.trades": 7, "dead_letters": 1}, {"marketprism-sink": 3}, {"raw.okx": 5})
    tables = TableStats({"trades": 6}, {"okx": 4}, [SIGNAL], {"opened": 2, "closed": 1})
    disk = DiskMonitor(Path.cwd(), 0)
    return ViewState("demo", load_settings(), raw_stats, [], polled(lag), polled(tables), {"okx": 10.0}, disk, "")


def polled(value: T) -> PolledValue[T]:
    """Return a value that was read just now."""

    async def read() -> T:
        return value

    made = PolledValue("value", value, read)
    asyncio.run(made.refresh())
    return made


def test_every_part_is_rendered() -> None:
    """The view shows feeds with connection, books and lag, events and signals.

    Frames without an instrument are counted by exchange.
    """
    console = Console(file=StringIO(), width=150)
    console.print(render(view_state()))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    expected = (
        "okx|● connected|○ not connected|4/4|BTC-USDT|okx → binance|closed (spread gone)|12.5|99.50|1.50 s|opened 2"
    )
    for part in expected.split("|"):
        assert part in text


def test_status_line_and_summary() -> None:
    """The status line replaces the view without a terminal. The summary follows at the end."""
    assert "frames 2 (10/s)" in status_line(view_state())
    text = summary(view_state(), 60, "data")
    for expected in (
        "Ran for 1 min.",
        "received   2 frames: okx 1, binance 1",
        "stored     6 rows: trades 6",
        "remaining  3 records",
        "processed when the system runs with --data data again",
        "signals    2 opened, 1 closed",
        "set aside  1 dead letters",
        "restarts   none",
    ):
        assert expected in text


async def test_old_values_are_marked() -> None:
    """Values that could not be read are shown with their age in the view, the status line and the summary."""
    shown = await asyncio.to_thread(view_state)
    assert shown.warnings == []
    shown.lag._read_at -= 12
    shown.table_stats = PolledValue("ClickHouse", TableStats(), no_answer)
    shown.disk.state, shown.disk.free = "low", 400_000_000
    shown.statuses.append(ChildStatus(Child("ingest", [], Path("log"), says("")), "running"))
    shown.raw_stats._last_record_at -= 30
    console = Console(file=StringIO(), width=150)
    console.print(render(shown))
    for text in (console.file.getvalue(), status_line(shown), summary(shown, 1, "")):  # type: ignore[attr-defined]
        assert "Kafka as of 12 s ago" in text
        assert "ClickHouse not known yet" in text
        assert "frames as of 30 s ago" in text
        assert "disk low: 0.40 GB free" in text


async def no_answer() -> TableStats:
    raise TimeoutError


async def test_polling_survives_every_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """After any error or a timeout, the old value is kept with its age until a new one is read."""
    monkeypatch.setattr("marketprism.local.polled_value._EVERY", 0.01)
    monkeypatch.setattr("marketprism.local.polled_value._TIMEOUT", 0.05)
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

    value = PolledValue("value", 1, read)
    assert math.isinf(value.age)
    polling = asyncio.create_task(value.poll())
    async with asyncio.timeout(5):
        while value.value != 2:
            await asyncio.sleep(0.01)
    assert not errors
    assert value.age < 1
    polling.cancel()


async def test_table_stats_never_open_a_directory(tmp_path: Path) -> None:
    """Without a sink, reading fails at once, whatever the directory contains, and leaves nothing open."""
    directory = tmp_path / "clickhouse"
    directory.mkdir()
    process = psutil.Process()
    async with TableStatsReader(load_settings(clickhouse=f"chdb://{directory}")) as reader:
        with pytest.raises(StorageError, match="no sink is serving"):
            await reader.read()
        (directory / "sql_address").write_text(f"127.0.0.1:{free_port()}")  # left by a killed sink
        with pytest.raises(StorageError, match="does not answer"):
            await reader.read()
        before = process.num_fds(), threading.active_count()
        for _ in range(50):
            with pytest.raises(StorageError):
                await reader.read()
        assert (process.num_fds(), threading.active_count()) == before
    assert [path.name for path in directory.iterdir()] == ["sql_address"]


async def test_an_unresponsive_sink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sink that does not respond, or sends malformed responses, causes an error within the timeout."""
    monkeypatch.setattr("marketprism.ops.table_stats._TIMEOUT", 0.2)
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
    async with server, TableStatsReader(load_settings(clickhouse=f"chdb://{tmp_path}")) as stats:
        while answers:
            with pytest.raises(StorageError):
                await stats.read()


async def test_frames_of_earlier_runs_are_not_counted(settings: Settings) -> None:
    """Counting starts at the start offsets of the run, and continues after a malformed record."""
    topic = settings.topic("raw.okx")
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka) as producer:
        for n in range(50):
            await producer.send_and_wait(topic, encode_line(n, "okx:BTC-USDT", b"{}"), partition=0)
        stats = RawTopicStats(settings, await topic_ends(settings))
        running = asyncio.create_task(stats.run())
        for value in (encode_line(1, "okx:BTC-USDT", b"{}"), b"malformed\n", encode_line(2, "okx:BTC-USDT", b"{}")):
            await producer.send_and_wait(topic, value, partition=0)
        async with asyncio.timeout(15):
            while stats.frames["okx"] < 2:
                await asyncio.sleep(0.05)
    await asyncio.sleep(0.2)
    assert stats.frames["okx"] == 2
    running.cancel()
