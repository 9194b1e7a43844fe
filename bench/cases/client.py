"""The client, reading one topic partition from beginning to end, compared with bare aiokafka and orjson.

The bare consumer fetches the same records in batches and parses each as JSON. The client also selects by key, drops
duplicates, keeps to the span of time, and yields typed events with decimals. The unit is events per second of the
process's CPU time, from the first event on.
"""

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from bench.harness import Result, Timed, compare
from bench.rigs.made_events import BEGIN_US, event
from marketprism.client import book_events, quotes, trades
from marketprism.local.broker import Broker, free_port
from marketprism.ops.topics import create_topics
from schemas.settings import Settings, load_settings

_DAY_US = 86_400_000_000
_EVENTS = {"trades": 200_000, "quotes": 100_000, "books": 20_000}
_READERS: dict[str, Callable[..., AsyncIterator[Any]]] = {"trades": trades, "quotes": quotes, "books": book_events}


def measure(rounds: int = 3) -> list[Result]:
    """Measure each of the busiest kinds."""
    results = []
    with tempfile.TemporaryDirectory() as folder, Broker(Path(folder) / "kafka", free_port()) as broker:
        settings = load_settings(kafka=broker.bootstrap, topic_prefix="client.", partitions=1)
        asyncio.run(_fill(settings))
        for table, count in _EVENTS.items():
            ours, bare = _timed(count, _read, settings, _READERS[table]), _timed(count, _consume, settings, table)
            results.append(compare(f"client: read {table}", "events/s", ours, "bare aiokafka + orjson", bare, rounds))
    return results


def _timed(count: int, read: Callable[..., Coroutine[Any, Any, tuple[int, float]]], *arguments: Any) -> Timed:
    def run() -> float:
        found, spent = asyncio.run(read(*arguments))
        assert found == count, f"{found} events instead of {count}"
        return count / spent

    return run


async def _fill(settings: Settings) -> None:
    await create_topics(settings)
    chance = random.Random(1)
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka, max_batch_size=1 << 20) as producer:
        for table, count in _EVENTS.items():
            for number in range(count):
                body = event(table, number, chance)
                key = b"binance:ETH-USDT" if b'"ETH-USDT"' in body else b"binance:BTC-USDT"
                await producer.send(settings.topic(f"market.{table}"), body, key)


async def _read(settings: Settings, read: Callable[..., AsyncIterator[Any]]) -> tuple[int, float]:
    """Read with the client. Return the number of events, and the CPU seconds from the first one on."""
    found, began = 0, 0.0
    place = {"kafka": settings.kafka, "topic_prefix": settings.topic_prefix, "exchange": "binance"}
    async for _ in read("BTC-USDT", "ETH-USDT", start=BEGIN_US, end=BEGIN_US + _DAY_US, **place):
        began = began or time.process_time()
        found += 1
    return found, time.process_time() - began


async def _consume(settings: Settings, table: str) -> tuple[int, float]:
    """Read with a plain consumer."""
    found, began, place = 0, 0.0, TopicPartition(settings.topic(f"market.{table}"), 0)
    async with AIOKafkaConsumer(bootstrap_servers=settings.kafka) as consumer:
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        while found < _EVENTS[table]:
            for records in (await consumer.getmany(timeout_ms=500, max_records=500)).values():
                began = began or time.process_time()
                for record in records:
                    orjson.loads(record.value)
                    found += 1
        return found, time.process_time() - began
