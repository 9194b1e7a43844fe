"""Latency from a frame's receipt to its signal, through ingest and one worker, compared with a bare aiokafka relay.

Ours passes three topics: ingest → raw → the worker's books agent → join → its arbitrage agent → signals. It is timed
from ingest's stamp of the frame that opens or closes an opportunity until a consumer receives the signal. The relay
passes three topics as well, on the same broker and with the same frames: a process that stamps each frame → A → a
second process's first task → B → its second task → C. It is timed from the stamp of each frame until a consumer of C
has it.

Both receive frames from a loopback exchange at a steady rate, which counts the frames of all feeds. They are measured
in turn; the other one receives just enough frames to keep its connections and books alive. If a rate is more than a
side can process, its frames queue, and the latency is that of the queue.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import NewTopic
from websockets.asyncio.client import connect

from bench.harness import Result, from_pairs
from bench.rigs import relay
from bench.rigs.latency_side import Side, StampOf, stamp_of_frame, stamp_of_signal
from bench.rigs.loopback_exchange import CONTROL, endpoints
from bench.rigs.paced_frames import MOVING
from bench.rigs.raw_topics import worker
from marketprism.local.broker import Broker, free_port
from marketprism.local.processes import Child, says
from marketprism.local.roles import INGEST
from marketprism.ops.topics import admin, create_topics
from schemas.settings import Settings, load_settings
from schemas.topics import SIGNALS

_RATES = (500, 2_000, 10_000)  # frames per second
_PERCENTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}


def measure(seconds: float = 7.0, rounds: int = 1) -> list[Result]:
    """Measure the percentiles of latency at several rates, each for `seconds`."""
    with tempfile.TemporaryDirectory() as name, Broker(Path(name) / "kafka", free_port()) as broker:
        ports = free_port(), free_port()
        settings = load_settings(
            kafka=broker.bootstrap,
            feeds=("binance-spot", "okx"),
            symbols=tuple(MOVING),
            endpoints=endpoints(ports[0]),
        )
        asyncio.run(_create_topics(settings))
        with ExitStack() as stack:
            for child in _children(settings, ports, Path(name)):
                stack.enter_context(child)
            return asyncio.run(_measure(settings, ports, seconds, rounds))


def _children(settings: Settings, ports: tuple[int, int], logs: Path) -> Iterator[Child]:
    def child(name: str, ready: str, *arguments: str) -> Child:
        return Child(name, [sys.executable, "-m", *arguments], logs / name, says(ready), settings.environment())

    for port in ports:
        yield child(f"exchange-{port}", "serving", "bench.rigs.paced_server", str(port))
    yield worker(settings, logs / "worker")
    yield INGEST.child(logs / "ingest", settings.environment())
    yield child("hops", "relaying", "bench.rigs.relay", "hops", settings.kafka)
    yield child("entry", "connected", "bench.rigs.relay", "entry", settings.kafka, str(ports[1]))


async def _create_topics(settings: Settings) -> None:
    await create_topics(settings)
    async with admin(settings) as client:
        await client.create_topics([NewTopic(topic, relay.PARTITIONS, 1) for topic in relay.TOPICS])


async def _measure(settings: Settings, ports: tuple[int, int], seconds: float, rounds: int) -> list[Result]:
    async with (
        _side(settings, ports[0], settings.topic(SIGNALS), stamp_of_signal) as ours,
        _side(settings, ports[1], relay.TOPICS[-1], stamp_of_frame) as floor,
    ):
        for side in (ours, floor):  # warm-up, in which the broker's virtual machine compiles its code
            await side.latencies(2_000, seconds)
        results = []
        for rate in _RATES:
            pairs = [(await ours.latencies(rate, seconds), await floor.latencies(rate, seconds)) for _ in range(rounds)]
            results += [_result(rate, name, quantile, pairs) for name, quantile in _PERCENTILES.items()]
        return results


@asynccontextmanager
async def _side(settings: Settings, port: int, topic: str, stamp_of: StampOf) -> AsyncIterator[Side]:
    async with AsyncExitStack() as stack:
        control = await stack.enter_async_context(connect(f"ws://127.0.0.1:{port}{CONTROL}"))
        consumer = await stack.enter_async_context(AIOKafkaConsumer(topic, bootstrap_servers=settings.kafka))
        side = Side(control, consumer, stamp_of)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        follower = tasks.create_task(side.follow())
        await side.until_drained(time.time_ns())
        yield side
        follower.cancel()


def _result(rate: int, name: str, quantile: float, pairs: list[tuple[list[float], list[float]]]) -> Result:
    values = [(ours[int(quantile * len(ours))], floor[int(quantile * len(floor))]) for ours, floor in pairs]
    mine, theirs = zip(*values, strict=True)
    return from_pairs(f"frame to signal at {rate:,}/s, {name}", "ms", "bare aiokafka relay", mine, theirs)
