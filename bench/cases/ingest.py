"""The real ingest process, from a WebSocket to the raw topic; a loopback exchange sends as fast as it reads.

It is compared with a bare `websockets` client with the same settings, which reads the same frames and drops them.
Ingest also recognises each frame's instrument, stamps it, and sends it to Kafka. The unit is frames per second of the
client process's CPU time. The lines of the raw topic are counted, so that no frame can be missing.
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
from marketprism.local.roles import INGEST
from marketprism.ops.topics import create_topics
from schemas.markers import MARKER
from schemas.raw import decode_record
from schemas.settings import Settings, load_settings
from schemas.topics import raw_topic

_TIMEOUT = 60.0  # s until all frames must have arrived
_SYMBOLS = ("BTC-USDT", "ETH-USDT")


def measure(frames: list[Frame], minimum: int = 200_000, rounds: int = 3) -> list[Result]:
    """Measure the spot frames among these, repeated until there are at least `minimum`."""
    spot = [frame for _, key, frame in frames if key.endswith("-USDT") and frame.startswith(b'{"stream"')]
    spot *= -(-minimum // len(spot))
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
        buffer_mb=512,  # no frame may be dropped, even if the broker lags for a moment
    )
    asyncio.run(create_topics(settings))
    with ExitStack() as stack:
        stack.enter_context(_frame_server(port, folder))
        ingest = stack.enter_context(INGEST.child(folder / f"{prefix}ingest.log", settings.environment()))
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
        deadline = time.monotonic() + _TIMEOUT
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
        control.recv(timeout=_TIMEOUT)


async def _until_raw(settings: Settings, head: bytes, lines: int) -> None:
    """Wait until the raw topic has this number of frames that begin with `head`, or markers that contain it."""
    topic = settings.topic(raw_topic("binance"))
    places = [TopicPartition(topic, number) for number in range(settings.partitions)]
    async with AIOKafkaConsumer(bootstrap_servers=settings.kafka) as consumer, asyncio.timeout(_TIMEOUT):
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        found = 0
        while found < lines:
            for messages in (await consumer.getmany(timeout_ms=100)).values():
                found += sum(
                    _matches(line.frame, head) for message in messages for line in decode_record(message.value)
                )
    assert found == lines, f"{found} lines instead of {lines}"


def _matches(frame: bytes, head: bytes) -> bool:
    return frame.startswith(head) or (frame.startswith(MARKER) and head in frame)
