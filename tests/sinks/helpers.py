"""Helpers that write events to topics and run the sink on them."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from marketprism.ops.topics import read_all
from schemas.settings import Settings
from sinks.sink import Sink
from sinks.storage.base import Storage
from sinks.storage.embedded import EmbeddedStorage


class Killed(Exception):
    """Raised in the place of the statement during which the process is killed."""


class DyingStorage(EmbeddedStorage):
    """The real engine, of a process that is killed after so many statements."""

    left = 1_000

    def execute(self, sql: str) -> None:
        if not self.left:
            raise Killed
        self.left -= 1
        super().execute(sql)


async def produce(settings: Settings, topic: str, values: Iterable[bytes | None], partition: int = 0) -> None:
    """Append records to one partition, with the key of the sample events."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, linger_ms=5, max_batch_size=262_144)
    await producer.start()
    try:
        for value in values:
            await producer.send(settings.topic(topic), value, b"binance:BTC-USDT", partition=partition)
    finally:
        await producer.stop()


async def read_values(settings: Settings, topic: str, partition: int = 0) -> list[bytes]:
    """Return all values of a partition."""
    return [record.value for record in (await read_all(settings, topic))[partition]]


@contextlib.asynccontextmanager
async def running(settings: Settings, storage: Storage) -> AsyncIterator[Sink]:
    """Run a sink in this process. Its error, if any, is raised at the end."""
    sink = Sink(settings, storage)
    task = asyncio.create_task(sink.run())
    try:
        yield sink
    finally:
        sink.stop()
        await asyncio.wait_for(task, 60)


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, f"condition not met within {seconds:.0f} s"
        await asyncio.sleep(0.05)


async def rows(storage: Storage, sql: str) -> Any:
    return await asyncio.to_thread(storage.query, sql)


def start_process(settings: Settings, log: Path) -> subprocess.Popen[bytes]:
    """Start `python -m sinks` with these settings."""
    environment = os.environ | settings.environment()
    with log.open("ab") as out:
        return subprocess.Popen([sys.executable, "-m", "sinks"], env=environment, stdout=out, stderr=out)
