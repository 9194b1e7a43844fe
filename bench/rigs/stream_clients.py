"""Measure many WebSocket clients of the API on a fast market: `python -m bench.rigs.stream_clients`.

Events of 80 instruments are published to a real broker, as workers publish them. Each fast client follows the quotes,
books and trades of one symbol, and the slow ones read nothing. Printed: the time from publishing to a client's receipt,
the API's processor time and its memory. All of it shares this machine's cores.
"""

import asyncio
import http.client
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import orjson
import psutil
import typer
from aiokafka import AIOKafkaProducer
from rich.console import Console
from websockets.asyncio.client import ClientConnection, connect

from marketprism.local.broker import Broker, free_port
from marketprism.local.processes import is_listening
from marketprism.ops.topics import create_topics
from schemas.feeds import EXCHANGES
from schemas.keys import key_of, partition_of
from schemas.settings import Settings, load_settings

_SYMBOLS = [f"A{number:02}-USDT" for number in range(20)]
_MIX = ("quotes",) * 6 + ("books",) * 3 + ("trades",) * 1
_TICKS = 100  # a second
_WARM_UP = 10.0  # s that do not count
_MEASURED_EVERY = 10  # th client parses what it is sent


def _levels(chance: random.Random, count: int) -> list[list[str]]:
    return [[f"{60_000 + chance.random() * 100:.2f}", f"{chance.random() * 3:.5f}"] for _ in range(count)]


class Events:
    """Maker of events, received now."""

    def __init__(self) -> None:
        self._chance = random.Random(1)
        self._number = 0
        depths = {"quotes": 5, "books": 10}
        self._sides = {
            table: [{"bids": _levels(self._chance, depth), "asks": _levels(self._chance, depth)} for _ in range(200)]
            for table, depth in depths.items()
        }

    def snapshot(self, exchange: str, symbol: str) -> bytes:
        """Return a book of 200 levels a side."""
        sides = {"bids": _levels(self._chance, 200), "asks": _levels(self._chance, 200)}
        return self._event(exchange, symbol, {"type": "snapshot", "sequence": 1, "previous": 0} | sides)

    def next(self) -> tuple[str, str, bytes]:
        """Return the next event's table, key and JSON."""
        table, exchange, symbol = (self._chance.choice(each) for each in (_MIX, EXCHANGES, _SYMBOLS))
        number = self._number
        if table == "trades":
            body: dict[str, object] = {
                "id": str(number),
                "price": "60000.5",
                "amount": "0.25",
                "side": "buy",
                "kind": "normal",
            }
            body |= {"exchange_amount": "0.25"}
        else:
            head: dict[str, object] = (
                {"origin": "book"} if table == "quotes" else {"type": "update", "previous": number}
            )
            body = head | {"sequence": number + 1} | self._chance.choice(self._sides[table])
        return table, key_of(exchange, symbol), self._event(exchange, symbol, body)

    def _event(self, exchange: str, symbol: str, body: dict[str, object]) -> bytes:
        self._number += 1
        now = time.time_ns() // 1000
        head = {"source": f"{exchange}:0:{self._number}:0:0", "exchange": exchange, "symbol": symbol}
        return orjson.dumps(head | {"timestamp": now, "local_timestamp": now} | body)


async def publish(settings: Settings, rate: int, published: Counter[str]) -> None:
    """Publish `rate` events a second until cancelled."""
    events = Events()
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka, linger_ms=5, max_batch_size=1 << 20) as producer:

        async def send(table: str, key: str, body: bytes) -> None:
            partition = partition_of(key.encode(), settings.partitions)
            await producer.send(settings.topic(f"market.{table}"), body, key.encode(), partition=partition)
            published["events"] += 1

        for exchange in EXCHANGES:
            for symbol in _SYMBOLS:
                await send("books", key_of(exchange, symbol), events.snapshot(exchange, symbol))
        next_at = time.monotonic()
        while True:
            for _ in range(rate // _TICKS):
                await send(*events.next())
            next_at += 1 / _TICKS
            await asyncio.sleep(max(0.0, next_at - time.monotonic()))


async def follow(address: str, number: int, is_slow: bool, delays: list[float]) -> None:
    """Be one client until cancelled. `delays`: ms from publishing to receipt, of the clients that measure."""
    symbol = _SYMBOLS[number % len(_SYMBOLS)]
    async with connect(f"ws://{address}/stream", max_size=None, compression=None, ping_interval=None) as socket:
        patterns = [f"{kind}:{symbol}:*" for kind in ("quotes", "books", "trades")]
        await socket.send(json.dumps({"subscribe": patterns}))
        if is_slow:
            socket.transport.pause_reading()
            await asyncio.sleep(3600)
        await _receive(socket, number % _MEASURED_EVERY == 0, delays)


async def _receive(socket: ClientConnection, measures: bool, delays: list[float]) -> None:
    async for text in socket:
        now = time.time_ns() // 1000
        if measures:
            for change in orjson.loads(text).get("changes", []):
                data = change["data"]
                newest = data[-1] if isinstance(data, list) and data else data
                if newest and change["type"] == "change":
                    delays.append((now - newest["local_timestamp"]) / 1000)


async def run_clients(address: str, fast: int, slow: int, seconds: float) -> list[float]:
    """Run the clients. Return the delays after the warm-up, ms."""
    delays: list[float] = []
    tasks = [asyncio.create_task(follow(address, number, number >= fast, delays)) for number in range(fast + slow)]
    await asyncio.sleep(_WARM_UP)
    delays.clear()
    await asyncio.sleep(seconds)
    measured = sorted(delays)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return measured


def main(
    seconds: Annotated[float, typer.Option(help="to measure")] = 120.0,
    rate: Annotated[int, typer.Option(help="events per second")] = 10_000,
    clients: Annotated[int, typer.Option(help="all clients")] = 200,
    slow: Annotated[int, typer.Option(help="of which read nothing")] = 20,
) -> None:
    """Measure the API under load."""
    console = Console()
    with tempfile.TemporaryDirectory() as folder, Broker(Path(folder) / "kafka", free_port()) as broker:
        port = free_port()
        settings = load_settings(
            kafka=broker.bootstrap, topic_prefix="stream.", api_address=f"127.0.0.1:{port}", api_requests_per_s=0
        )
        asyncio.run(create_topics(settings))
        publisher = _child(settings, "publish", str(rate))
        server = subprocess.Popen([sys.executable, "-m", "marketprism.api"], env=settings.environment())
        try:
            while not is_listening(port):
                time.sleep(0.1)
            _report(console, settings.api_address, psutil.Process(server.pid), clients - slow, slow, seconds)
        finally:
            for child in (publisher, server):
                child.terminate()
                child.wait()


def _child(settings: Settings, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "bench.rigs.stream_clients", *arguments], env=settings.environment())


def _report(console: Console, address: str, server: psutil.Process, fast: int, slow: int, seconds: float) -> None:
    def statistics() -> dict[str, float]:
        connection = http.client.HTTPConnection(address, timeout=30)
        connection.request("GET", "/api/statistics")
        return dict(orjson.loads(connection.getresponse().read()))

    time.sleep(_WARM_UP)
    before, began = statistics(), time.monotonic()
    delays = asyncio.run(run_clients(address, fast, slow, seconds))
    after, took = statistics(), time.monotonic() - began
    events, spent = after["events"] - before["events"], after["cpu"] - before["cpu"]
    console.print(f"{events / took:,.0f} events/s read, {fast} fast and {slow} slow clients, {took:.0f} s")
    console.print(
        f"delay of {len(delays):,} changes: "
        + ", ".join(
            f"{name} {delays[int(len(delays) * share)]:.0f} ms"
            for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))
        )
    )
    console.print(f"API: {spent / took:.0%} of a core, {spent / events * 1e6:.0f} ms per 1,000 events")
    console.print(f"memory: {before['memory'] / 1e6:.0f} MB before, {after['memory'] / 1e6:.0f} MB after")
    console.print(f"slow clients disconnected: {after['clients_dropped']:.0f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["publish"]:
        asyncio.run(publish(load_settings(), int(sys.argv[2]), Counter()))
    else:
        typer.run(main)
