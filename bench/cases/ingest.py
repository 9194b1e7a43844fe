"""From a WebSocket into the raw topic: the real ingest process, fed by a loopback exchange as fast as it reads.

Against a bare `websockets` client with the same settings, which reads the same frames and drops them: what ingest adds
to it is telling each frame's instrument, stamping it, and Kafka. Units are frames per second of the client process's
CPU. That each frame arrived in the raw topic is counted there.
"""

import asyncio
import sys
import tempfile
import time
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition
from websockets.sync.client import connect

from bench.harness import Result, compare
from bench.rigs.frames import Frame
from bench.rigs.loopback_exchange import CONTROL, endpoints
from bench.rigs.raw_topics import cpu_seconds
from marketprism.local.broker import Broker, free_port
from marketprism.local.processes import Child, says
from marketprism.ops.topics import create_topics
from schemas.markers import MARKER
from schemas.raw import decode_record
from schemas.settings import Settings, load_settings
from schemas.topics import raw_topic

_WITHIN = 60.0  # s in which all frames have to be there
_SYMBOLS = ("BTC-USDT", "ETH-USDT")


def measure(frames: list[Frame], least: int = 200_000, rounds: int = 3) -> list[Result]:
    """The spot frames among these, again and again until there are `least`."""
    spot = [frame for _, key, frame in frames if key.endswith("-USDT") and frame.startswith(b'{"stream"')]
    spot *= -(-least // len(spot))
    numbers = count()
    with tempfile.TemporaryDirectory() as name, Broker(Path(name) / "kafka", free_port()) as broker:
        folder = Path(name)
        (folder / "frames").write_bytes(b"\n".join(spot))

        def ours() -> float:
            return len(spot) / _ingest_cpu(broker.bootstrap, f"i{next(numbers)}.", folder, len(spot))

        def floor() -> float:
            return len(spot) / _client_cpu(folder, len(spot))

        return [compare("ingest: WebSocket to raw topic", "frames/s", ours, "bare websockets client", floor, rounds)]


def _ingest_cpu(kafka: str, prefix: str, folder: Path, frames: int) -> float:
    port = free_port()
    settings = load_settings(
        kafka=kafka,
        topic_prefix=prefix,
        feeds=("binance-spot",),
        symbols=_SYMBOLS,
        endpoints=endpoints(port),
        buffer_mb=512,  # the broker may be behind for a moment, and nothing is to be dropped
    )
    asyncio.run(create_topics(settings))
    with ExitStack() as stack:
        stack.enter_context(_frame_server(port, folder))
        command = [sys.executable, "-m", "ingest"]
        log = folder / f"{prefix}ingest.log"
        ingest = stack.enter_context(Child("ingest", command, log, says("connected"), settings.environment()))
        asyncio.run(_until_raw(settings, b'"subscribed"', len(_SYMBOLS)))
        before = cpu_seconds(ingest)
        _send_all(port)
        asyncio.run(_until_raw(settings, b'{"stream"', frames))
        return cpu_seconds(ingest) - before


def _client_cpu(folder: Path, frames: int) -> float:
    port = free_port()
    command = [sys.executable, "-m", "bench.rigs.bare_client", str(port), str(frames)]
    with (
        _frame_server(port, folder),
        Child("client", command, folder / "client.log", says("subscribed")) as client,
    ):
        before = cpu_seconds(client)
        _send_all(port)
        deadline = time.monotonic() + _WITHIN
        while "read" not in client.output():
            assert time.monotonic() < deadline, client.tail()
            time.sleep(0.05)
        return cpu_seconds(client) - before


def _frame_server(port: int, folder: Path) -> Child:
    command = [sys.executable, "-m", "bench.rigs.frame_server", str(port), str(folder / "frames")]
    return Child("frame server", command, folder / "server.log", says("serving"))


def _send_all(port: int) -> None:
    with connect(f"ws://127.0.0.1:{port}{CONTROL}", ping_interval=None) as control:
        control.send("go")
        control.recv(timeout=_WITHIN)


async def _until_raw(settings: Settings, head: bytes, lines: int) -> None:
    """Wait until so many lines are in the raw topic: frames that begin so, or markers that hold it."""
    topic = settings.topic(raw_topic("binance"))
    places = [TopicPartition(topic, number) for number in range(settings.partitions)]
    async with AIOKafkaConsumer(bootstrap_servers=settings.kafka) as consumer, asyncio.timeout(_WITHIN):
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        found = 0
        while found < lines:
            for messages in (await consumer.getmany(timeout_ms=100)).values():
                found += sum(_is(line.frame, head) for message in messages for line in decode_record(message.value))
    assert found == lines, f"{found} lines instead of {lines}"


def _is(frame: bytes, head: bytes) -> bool:
    return frame.startswith(head) or (frame.startswith(MARKER) and head in frame)
