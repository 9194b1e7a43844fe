"""The bare relay: `python -m bench.rigs.relay entry|hops BROKER [PORT]`, aiokafka with its defaults and `acks=all`.

`entry` reads both feeds, stamps each frame and sends it to the first topic. `hops`, a single process like a worker,
forwards each record from the first topic to the second, and from there to the third.
"""

import asyncio
import sys
import time
from itertools import pairwise

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from websockets.asyncio.client import connect

from bench.rigs.loopback_exchange import BINANCE, OKX, SUBSCRIBE
from ingest.sockets import MAX_SIZE

TOPICS = ("relay.a", "relay.b", "relay.c")
_PATHS = (BINANCE, OKX)  # each has its own partition
PARTITIONS = len(_PATHS)


async def _entry(broker: str, port: int) -> None:
    async with _producer(broker) as producer, asyncio.TaskGroup() as tasks:
        for partition, path in enumerate(_PATHS):
            tasks.create_task(_read(producer, f"ws://127.0.0.1:{port}{path}", SUBSCRIBE[path], partition))


async def _read(producer: AIOKafkaProducer, address: str, subscribe: str, partition: int) -> None:
    async with connect(address, max_size=MAX_SIZE, compression=None) as socket:
        await socket.send(subscribe)
        print("connected", flush=True)
        while True:
            frame = await socket.recv(decode=False)
            await producer.send(TOPICS[0], b"%d\t%s" % (time.time_ns(), frame), partition=partition)


async def _hops(broker: str) -> None:
    async with asyncio.TaskGroup() as tasks:
        for source, target in pairwise(TOPICS):
            tasks.create_task(_hop(broker, source, target))


async def _hop(broker: str, source: str, target: str) -> None:
    async with AIOKafkaConsumer(source, bootstrap_servers=broker) as consumer, _producer(broker) as producer:
        print("relaying", flush=True)
        async for record in consumer:
            await producer.send(target, record.value, partition=record.partition)


def _producer(broker: str) -> AIOKafkaProducer:
    return AIOKafkaProducer(bootstrap_servers=broker, acks="all")


def main() -> None:
    part, broker, *port = sys.argv[1:]
    asyncio.run(_entry(broker, int(port[0])) if part == "entry" else _hops(broker))


if __name__ == "__main__":
    main()
