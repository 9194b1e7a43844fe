"""A pipeline in the test's process: simulated exchanges, the real ingest and broker, and the workers' processors."""

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
from schemas.markers import MARKER
from schemas.raw import decode_record
from schemas.settings import Settings
from schemas.topics import raw_topic
from streams.instrument_processor import InstrumentProcessor
from streams.levels import texts_of
from streams.output import Output
from streams.raw_processor import RawProcessor

Levels = list[tuple[Decimal, Decimal]]


class InProcessPipeline:
    """Pipeline of ingest and processors: `async with InProcessPipeline(…)`.

    Every raw record is processed as a worker would do it. `events`: all events, in order, each with its topic.
    `markers`: their number by `exchange:symbol` and type.
    """

    def __init__(self, settings: Settings, simulators: Simulators, timings: Timings = DEFAULT_TIMINGS) -> None:
        self.settings = settings
        self.simulators = simulators
        self._timings = timings
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.markers: Counter[tuple[str, str]] = Counter()
        self._exchanges = sorted({FEEDS[feed].exchange for feed in settings.feeds})
        self._processors: dict[tuple[str, int], RawProcessor] = {}
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
        """Store the record's events, and yield its requests to ingest."""
        for line in decode_record(message.value):
            if line.frame.startswith(MARKER):
                self.markers[line.key, orjson.loads(line.frame)["marketprism"]] += 1
        exchange = message.topic.removeprefix(self.settings.topic("raw."))
        processor = self._processors.setdefault(
            (exchange, message.partition), RawProcessor(exchange, message.partition, self.settings)
        )
        output = processor.process(message.offset, message.value)
        self.take_joins(output)
        for record in output.records:
            topic, _, value = record
            if topic == "control.ingest":
                yield record
            else:
                self.events.append((topic, orjson.loads(value)))

    def take_joins(self, output: Output) -> None:
        """Take the lines for the join, which are of no use here."""

    def events_of(self, topic: str, key: str, since: int = 0) -> list[dict[str, Any]]:
        """Return the events of a topic about `exchange:symbol`, without the first `since` of all events."""
        return [
            event
            for name, event in self.events[since:]
            if name == topic and f"{event['exchange']}:{event['symbol']}" == key
        ]

    def processor_of(self, key: str) -> InstrumentProcessor | None:
        """Return the processor of `exchange:symbol`, if there is one yet."""
        for processor in self._processors.values():
            if key in processor.entries:
                return processor.entries[key]
        return None

    def is_live(self, key: str) -> bool:
        """Whether the book of `exchange:symbol` is live."""
        processor = self.processor_of(key)
        return processor is not None and processor.books.order_book.state == "live"

    async def until(self, reached: Callable[[], bool], what: str, within: float = 15.0) -> float:
        """Wait until a condition is reached. Return the seconds it took."""
        began = time.monotonic()
        while not reached():
            for task in self._tasks:
                assert not task.done(), task.result()
            assert time.monotonic() - began < within, f"not reached within {within:g} s: {what}"
            await asyncio.sleep(0.02)
        return time.monotonic() - began

    def reload(self) -> None:
        """Write the whole state to checkpoint entries, and read it back."""
        for processor in self._processors.values():
            for key in list(processor.entries):
                processor.load(key, processor.dump(key))

    async def wait_until_true(self, feed: str, symbol: str) -> None:
        """Wait until all levels of our book equal those of the simulator's true one. The market must be paused."""
        key = f"{FEEDS[feed].exchange}:{symbol}"
        true = self.simulators.true_book(feed, symbol)
        wanted = _decimals(true.bids), _decimals(true.asks)
        await self.until(
            lambda: self.is_live(key) and self._levels(key) == wanted, f"the book of {feed} {symbol} is the true one"
        )

    def _levels(self, key: str) -> tuple[Levels, Levels]:
        processor = self.processor_of(key)
        assert processor is not None
        book = processor.books.order_book.book
        return _decimals(map(texts_of, book.bids.all())), _decimals(map(texts_of, book.asks.all()))


def _decimals(levels: Iterable[tuple[str, str]]) -> Levels:
    """Return the levels as decimals, sorted by price."""
    return sorted((Decimal(price), Decimal(amount)) for price, amount in levels)


async def check_books(pipeline: InProcessPipeline, feeds: dict[str, list[str]]) -> None:
    """Pause the market until all these books equal the true ones, level by level."""
    pipeline.simulators.pause()
    try:
        await asyncio.gather(
            *(pipeline.wait_until_true(feed, symbol) for feed, symbols in feeds.items() for symbol in symbols)
        )
    finally:
        pipeline.simulators.resume()
