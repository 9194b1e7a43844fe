"""Simulated exchanges, the real ingest and broker, and the pure part of the streams following the raw topics."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any, Self

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from ingest.app import ingest
from ingest.timings import DEFAULT_TIMINGS, Timings
from marketprism.simulator import Simulators
from schemas.feeds import FEEDS
from schemas.raw import MARKER, decode_record
from schemas.settings import Settings
from schemas.topics import raw_topic
from streams.instrument_processor import InstrumentProcessor
from streams.levels import texts_of
from streams.raw_processor import RawProcessor

Levels = list[tuple[Decimal, Decimal]]


class Lab:
    """`async with Lab(…)`: ingest runs and every raw record is processed as a worker would; `events` in their order."""

    def __init__(self, settings: Settings, simulators: Simulators, timings: Timings = DEFAULT_TIMINGS) -> None:
        self.settings = settings
        self.simulators = simulators
        self._timings = timings
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.markers: Counter[tuple[str, str]] = Counter()  # by `exchange:symbol` and kind
        self._exchanges = sorted({FEEDS[feed].exchange for feed in settings.feeds})
        self._partitions: dict[tuple[str, int], RawProcessor] = {}
        self._tasks: list[asyncio.Task[Any]] = []

    async def __aenter__(self) -> Self:
        consumer = AIOKafkaConsumer(
            *(self.settings.topic(raw_topic(exchange)) for exchange in self._exchanges),
            bootstrap_servers=self.settings.kafka,
            auto_offset_reset="earliest",
        )
        ingesting = ingest(self.settings, timings=self._timings)
        self._tasks = [asyncio.create_task(self._follow(consumer)), asyncio.create_task(ingesting)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in reversed(self._tasks):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        async with consumer, AIOKafkaProducer(bootstrap_servers=self.settings.kafka) as producer:
            async for message in consumer:
                for topic, key, value in self._process(message):
                    await producer.send(self.settings.topic(topic), value, key=key)

    def _process(self, message: Any) -> Iterator[tuple[str, bytes | None, bytes]]:
        """Keep the record's events; yield its requests to ingest."""
        for line in decode_record(message.value):
            if line.frame.startswith(MARKER):
                self.markers[line.key, orjson.loads(line.frame)["marketprism"]] += 1
        exchange = message.topic.removeprefix(self.settings.topic("raw."))
        place = exchange, message.partition
        partition = self._partitions.setdefault(place, RawProcessor(exchange, message.partition, self.settings))
        for record in partition.process(message.offset, message.value).records:
            topic, _, value = record
            if topic == "control.ingest":
                yield record
            else:
                self.events.append((topic, orjson.loads(value)))

    def told(self, topic: str, key: str, since: int = 0) -> list[dict[str, Any]]:
        """The events of a topic about `exchange:symbol`, from that many on."""
        return [
            event
            for name, event in self.events[since:]
            if name == topic and f"{event['exchange']}:{event['symbol']}" == key
        ]

    def stream(self, key: str) -> InstrumentProcessor | None:
        """The state of `exchange:symbol`."""
        for partition in self._partitions.values():
            if key in partition.streams:
                return partition.streams[key]
        return None

    def live(self, key: str) -> bool:
        stream = self.stream(key)
        return stream is not None and stream.books.orders.state == "live"

    async def until(self, reached: Callable[[], bool], what: str, within: float = 15.0) -> float:
        """Wait for it; the seconds it took."""
        began = time.monotonic()
        while not reached():
            for task in self._tasks:
                assert not task.done(), task.result()
            assert time.monotonic() - began < within, f"not within {within:g} s: {what}"
            await asyncio.sleep(0.02)
        return time.monotonic() - began

    def reload(self) -> None:
        """Write the whole state to checkpoint entries, and read it back."""
        for partition in self._partitions.values():
            for key in list(partition.streams):
                partition.load(key, partition.dump(key))

    async def equal(self, feed: str, symbol: str) -> None:
        """With the market paused: wait until all levels of our book are those of the simulator's true one."""
        key = f"{FEEDS[feed].exchange}:{symbol}"
        true = self.simulators.true_book(feed, symbol)
        wanted = _decimals(true.bids), _decimals(true.asks)
        await self.until(lambda: self.live(key) and self._levels(key) == wanted, f"{feed} {symbol} as the true book")

    def _levels(self, key: str) -> tuple[Levels, Levels]:
        stream = self.stream(key)
        assert stream is not None
        book = stream.books.orders.book
        return _decimals(map(texts_of, book.bids.all())), _decimals(map(texts_of, book.asks.all()))


def _decimals(levels: Iterable[tuple[str, str]]) -> Levels:
    """Sorted: which side it is, is told by the caller's order of the two."""
    return sorted((Decimal(price), Decimal(amount)) for price, amount in levels)


async def settled(lab: Lab, feeds: dict[str, list[str]]) -> None:
    """Pause the market until all these books are equal to the true ones, level for level."""
    lab.simulators.pause()
    try:
        await asyncio.gather(*(lab.equal(feed, symbol) for feed, symbols in feeds.items() for symbol in symbols))
    finally:
        lab.simulators.resume()
