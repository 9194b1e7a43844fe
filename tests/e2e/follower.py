"""Follow all topics of a run: events by the raw line that caused them, and books rebuilt from the events."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any, NamedTuple, Self

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from marketprism.simulator import Simulators
from marketprism.simulator.market.listings import LISTINGS, Listing
from schemas.feeds import EXCHANGES, FEEDS
from schemas.raw import RawLine, decode_record
from schemas.settings import Settings
from schemas.sources import split_source
from schemas.topics import JOIN, STORED_TOPICS, raw_topic

Side = dict[Decimal, Decimal]
Body = dict[str, Any]


class Place(NamedTuple):
    """Position of a raw line."""

    exchange: str
    partition: int
    offset: int
    line: int


class Book:
    """One instrument's book, in base units, as a consumer of `market.books` builds it.

    `live`: according to `market.gaps`. `opened` and `snapshots`: numbers of gaps and snapshots so far.
    """

    def __init__(self) -> None:
        self.bids: Side = {}
        self.asks: Side = {}
        self.live = False
        self.opened = 0
        self.snapshots = 0

    def on_book(self, body: Body) -> None:
        if body["type"] == "snapshot":
            self.bids, self.asks = {}, {}
            self.snapshots += 1
            self.live = self.live or not self.opened
        for side, levels in ((self.bids, body["bids"]), (self.asks, body["asks"])):
            for price, amount in levels:
                side[Decimal(price)] = Decimal(amount)
                if not side[Decimal(price)]:
                    del side[Decimal(price)]

    def on_gap(self, body: Body) -> None:
        if body.get("channel", "books") == "books":
            self.live = body["type"] == "closed"
            self.opened += body["type"] == "opened"


class Follower:
    """Consumer of all topics: `async with Follower(settings)`. It reads for as long as the block lasts.

    `others`: events of the join and of the sink. `joined`: number of quotes in the join, by key and origin.
    """

    def __init__(self, settings: Settings) -> None:
        self.lines: dict[Place, RawLine] = {}
        self.events: dict[Place, list[tuple[str, Body]]] = {}
        self.others: list[tuple[str, Body]] = []
        self.sources: dict[str, set[str]] = {topic: set() for topic in STORED_TOPICS}
        self.books: dict[str, Book] = {}
        self.joined: Counter[tuple[str, str]] = Counter()
        self._settings = settings
        self._raw = {settings.topic(raw_topic(exchange)): exchange for exchange in EXCHANGES}
        self._stored = {settings.topic(topic): topic for topic in STORED_TOPICS}
        self._join = settings.topic(JOIN)
        self._consumer: AIOKafkaConsumer = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._consumer = AIOKafkaConsumer(bootstrap_servers=self._settings.kafka, fetch_max_wait_ms=50)
        await self._consumer.start()
        self._partitions = [
            TopicPartition(topic, number)
            for topic in (*self._raw, *self._stored, self._join)
            for number in range(self._settings.partitions)
        ]
        self._consumer.assign(self._partitions)
        await self._consumer.seek_to_beginning()
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        await self._consumer.stop()

    async def catch_up(self) -> None:
        """Wait until everything that is in the topics now has been read."""
        ends = await self._consumer.end_offsets(self._partitions)
        for partition, end in ends.items():
            await self.until(lambda p=partition, e=end: self._position.get(p, 0) >= e, f"{partition} read to {end}", 60)  # type: ignore[misc]

    async def until(self, reached: Callable[[], bool], what: str, within: float) -> None:
        """Wait until a condition is reached. `TimeoutError` names `what` was not."""
        deadline = time.monotonic() + within
        while not reached():
            assert self._task is not None
            if self._task.done():
                self._task.result()
            if time.monotonic() > deadline:
                raise TimeoutError(f"not reached within {within:g} s: {what}")
            await asyncio.sleep(0.1)

    async def _follow(self) -> None:
        self._position: dict[TopicPartition, int] = {}
        while True:
            for partition, messages in (await self._consumer.getmany(timeout_ms=100)).items():
                for message in messages:
                    self._on_message(partition, message)
                self._position[partition] = messages[-1].offset + 1
                await asyncio.sleep(0)

    def _on_message(self, partition: TopicPartition, message: Any) -> None:
        if partition.topic in self._raw:
            exchange = self._raw[partition.topic]
            for number, line in enumerate(decode_record(message.value)):
                self.lines[Place(exchange, partition.partition, message.offset, number)] = line
        elif partition.topic == self._join:
            self._on_join(message.value)
        else:
            self._on_event(self._stored[partition.topic], orjson.loads(message.value))

    def _on_join(self, value: bytes) -> None:
        for line in value.split(b"\n"):
            state, _, body = line.partition(b"\t")
            if state == b"live" and b'"origin"' in body:
                quote = orjson.loads(body)
                self.joined[f"{quote['exchange']}:{quote['symbol']}", quote["origin"]] += 1

    def _on_event(self, topic: str, body: Body) -> None:
        source = body["source"]
        if source in self.sources[topic]:
            return  # a duplicate, after a crash
        self.sources[topic].add(source)
        if source.partition(":")[0] not in EXCHANGES:
            self.others.append((topic, body))
            return
        origin, position = split_source(source)
        self.events.setdefault(Place(origin, *position[:3]), []).append((topic, body))
        if topic in ("market.books", "market.gaps"):
            book = self.books.setdefault(f"{body['exchange']}:{body['symbol']}", Book())
            (book.on_book if topic == "market.books" else book.on_gap)(body)

    # Comparison with the simulators

    def all_live(self) -> bool:
        """Whether every book is live."""
        return not self.not_live()

    def not_live(self) -> list[str]:
        return [key for key in map(key_of, LISTINGS) if key not in self.books or not self.books[key].live]

    def differences(self, simulators: Simulators) -> list[str]:
        """Describe how our books differ from the true ones. The market must be paused."""
        return [text for listing in LISTINGS if (text := self._difference(simulators, listing))]

    def _difference(self, simulators: Simulators, listing: Listing) -> str:
        key, true = key_of(listing), simulators.true_book(listing.feed, listing.symbol)
        book = self.books.get(key)
        if book is None or not book.live:
            return f"{key} is not live"
        for name, ours, texts in (("bids", book.bids, true.bids), ("asks", book.asks, true.asks)):
            theirs = {Decimal(price): _base(listing, Decimal(price), Decimal(amount)) for price, amount in texts}
            if ours != theirs:
                more, less = sorted(ours.items() - theirs.items()), sorted(theirs.items() - ours.items())
                return f"{key} {name}: only ours {_few(more)}, only true {_few(less)}"
        return ""


def key_of(listing: Listing) -> str:
    return f"{FEEDS[listing.feed].exchange}:{listing.symbol}"


def _base(listing: Listing, price: Decimal, amount: Decimal) -> Decimal:
    return listing.base_amount(int(amount / listing.lot), int(price / listing.tick))


def _few(levels: list[tuple[Decimal, Decimal]]) -> str:
    return f"{len(levels)} levels: " + ", ".join(f"{price:f} {amount:f}" for price, amount in levels[:3])
