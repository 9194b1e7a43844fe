"""The commands `record` and `replay`, as a user sees them."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from typer.testing import CliRunner

from marketprism.cli import app
from marketprism.local.broker import Broker
from marketprism.ops.topics import create_topics, topic_ends
from schemas.raw import encode_line
from schemas.settings import Settings, load_settings
from tests.captures.test_replay import T0


@pytest.fixture
def prefix(broker: Broker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Create topics with a prefix that the commands use."""
    name = f"t{uuid4().hex[:8]}."
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MARKETPRISM_KAFKA", broker.bootstrap)
    monkeypatch.setenv("MARKETPRISM_TOPIC_PREFIX", name)
    monkeypatch.setenv("MARKETPRISM_PARTITIONS", "1")
    asyncio.run(create_topics(load_settings()))
    return name


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


@contextmanager
def receiving(settings: Settings) -> Iterator[None]:
    """Write a frame every 50 ms while the block lasts, as ingest does."""
    done = threading.Event()

    async def write() -> None:
        async with AIOKafkaProducer(bootstrap_servers=settings.kafka) as producer:
            number = 0
            while not done.is_set():
                number += 1
                line = encode_line(T0 + number * 50_000_000, "okx:BTC-USDT", b"%d" % number)
                await producer.send_and_wait(settings.topic("raw.okx"), line, partition=0)
                await asyncio.sleep(0.05)

    thread = threading.Thread(target=lambda: asyncio.run(write()))
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@contextmanager
def interrupted_when(condition: Callable[[], bool], number: signal.Signals) -> Iterator[None]:
    """Send this process a signal as soon as the condition is met."""

    def wait() -> None:
        deadline = time.monotonic() + 60
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.1)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def records_of(settings: Settings) -> int:
    return sum(asyncio.run(topic_ends(settings))["raw.okx"])


def test_record_and_replay(prefix: str) -> None:
    """Each command ends with a sentence that says what was done, and what comes next; interrupted ones do, too."""
    settings, path = load_settings(), Path("capture.zst")
    with receiving(settings), interrupted_when(lambda: path.exists() and path.stat().st_size > 0, signal.SIGTERM):
        text = run("record", "capture.zst", "--feed", "okx")
    assert "frames of okx in" in text
    assert "Replay it with `marketprism replay capture.zst`." in text
    text = run("replay", "capture.zst")
    assert "Replayed" in text
    assert f"records in the topics {prefix}raw.*. `marketprism worker` processes them." in text
    before = records_of(settings)
    with interrupted_when(lambda: records_of(settings) > before, signal.SIGINT):
        text = run("replay", "capture.zst", "--speed", "0.001")
    assert "Stopped after" in text
    text = run("replay", "--from", "2020-01-01", "--to", "2030-01-01", "--into", f"{prefix}again.")
    assert f"topics {prefix}again.raw.*" in text
    assert f"`MARKETPRISM_TOPIC_PREFIX={prefix}again. marketprism worker` processes them" in text


def test_record_nothing(prefix: str) -> None:
    """Without frames, the sentence asks for ingest."""
    assert "Recorded 0 frames of okx" in run("record", "capture", "--feed", "okx", "--duration", "0.1")
    assert "Is `marketprism ingest` running?" in run("record", "again", "--feed", "okx", "--duration", "0.1")


def test_no_bar_before_the_broker_answers(tmp_path: Path) -> None:
    """What cannot begin shows no progress."""
    path = tmp_path / "capture"
    path.write_bytes(encode_line(T0, "okx:BTC-USDT", b"1"))
    result = CliRunner().invoke(app, ["replay", str(path)], env={"MARKETPRISM_KAFKA": "127.0.0.1:1"})
    assert result.exit_code == 1
    assert "\nerror: no broker answers at 127.0.0.1:1" in f"\n{result.output}"
    assert "%" not in result.output
