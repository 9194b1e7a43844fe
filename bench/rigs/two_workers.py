"""Measure how two workers share the work of the default symbols: the busier one's share of frames, quotes and CPU time.

The raw records are collected first: all simulated exchanges send, and ingest writes. The workers then get all of them
at once. The second worker joins the first, which then keeps the upper half of the partitions. Two that join a group at
the same time get every second partition each; `tests/schemas/test_keys.py` has the shares of both.
"""

import asyncio
import json
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment

from bench.rigs.raw_topics import cpu_seconds, until_workers_drained, worker
from marketprism.local.roles import INGEST, SIMULATOR
from marketprism.ops.topics import admin, create_topics, read_all
from schemas.feeds import EXCHANGES
from schemas.markers import MARKER
from schemas.raw import decode_record
from schemas.settings import Settings, load_settings
from schemas.topics import JOIN, WORKER_GROUP, raw_topic
from streams.arbitrage.lines import TICK

_RATE = 4.0  # factor on what the simulated exchanges send

Records = list[tuple[str, int, bytes]]  # topic without its prefix, partition and value


class Shares(NamedTuple):
    """The share of the worker that has more of it, %."""

    frames: float
    quotes: float
    cpu: float


def collect(kafka: str, folder: Path, seconds: float) -> Records:
    """Return the raw records of `seconds` of all simulated exchanges."""
    with SIMULATOR.child(folder / "simulator.log", {}, "--rate", str(_RATE)) as simulator:
        [line] = [line for line in simulator.output().splitlines() if line.startswith('{"endpoints"')]
        settings = load_settings(kafka=kafka, topic_prefix="load.", endpoints=json.loads(line)["endpoints"])
        asyncio.run(create_topics(settings))
        with INGEST.child(folder / "ingest.log", settings.environment()):
            time.sleep(seconds)
    return asyncio.run(_raw_records(settings))


def shares(kafka: str, prefix: str, folder: Path, records: Records) -> Shares:
    """Return how two workers share the records, in new topics with this prefix."""
    settings = load_settings(kafka=kafka, topic_prefix=prefix)
    asyncio.run(create_topics(settings))
    with ExitStack() as running:
        logs = [folder / f"{prefix}{number}.log" for number in range(2)]
        children = [running.enter_context(worker(settings, log)) for log in logs]
        asyncio.run(until_workers_drained(settings))  # also until they share the partitions
        before = [cpu_seconds(child) for child in children]
        asyncio.run(_send(settings, records))
        asyncio.run(until_workers_drained(settings))
        used = [cpu_seconds(child) - start for child, start in zip(children, before, strict=True)]
        return asyncio.run(_shares(settings, records, used))


async def _raw_records(settings: Settings) -> Records:
    topics = [raw_topic(exchange) for exchange in EXCHANGES]
    records = [
        record for topic in topics for several in (await read_all(settings, topic)).values() for record in several
    ]
    by_time = sorted(records, key=lambda record: record.timestamp)
    return [(record.topic.removeprefix(settings.topic_prefix), record.partition, record.value) for record in by_time]


async def _send(settings: Settings, records: Records) -> None:
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka) as producer:
        for topic, partition, value in records:
            await producer.send(settings.topic(topic), value, partition=partition)
        await producer.flush()


async def _shares(settings: Settings, records: Records, cpu: list[float]) -> Shares:
    frames, quotes = [0] * settings.partitions, [0] * settings.partitions
    for _, partition, value in records:
        frames[partition] += sum(not line.frame.startswith(MARKER) for line in decode_record(value))
    for partition, found in (await read_all(settings, JOIN)).items():
        quotes[partition] = sum(not line.startswith(TICK) for record in found for line in record.value.split(b"\n"))
    partitions = await _assigned(settings)
    return Shares(*(_most(each) for each in (_by_worker(frames, partitions), _by_worker(quotes, partitions), cpu)))


async def _assigned(settings: Settings) -> list[set[int]]:
    """Return each worker's partitions of every topic."""
    async with admin(settings) as client:
        [response] = await client.describe_consumer_groups([settings.topic(WORKER_GROUP)])
    members = [ConsumerProtocolMemberAssignment.decode(member[-1]) for member in response.groups[0][5]]
    return [{each.partition for each in member.partitions()} for member in members]


def _by_worker(counts: list[int], partitions: Iterable[set[int]]) -> list[int]:
    return [sum(counts[number] for number in several) for several in partitions]


def _most(parts: list[int] | list[float]) -> float:
    return 100 * max(parts) / sum(parts)
