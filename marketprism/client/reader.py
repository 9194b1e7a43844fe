"""Read the events of several topic partitions over a span of time."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from itertools import chain
from operator import itemgetter
from typing import Any, Generic

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from marketprism.client.events import InstrumentChange
from marketprism.client.place import NEVER, Decode, E, Place, Wanted
from marketprism.client.selection import Instruments
from marketprism.client.span import Span
from schemas.errors import StackError
from schemas.settings import Settings

_CLOCKS = 10_000_000  # µs by which the clocks of ingest and broker may differ
_LATE = 2_000_000  # µs from the receipt of a line until its events are in their topics
_SKEW = 2_000_000  # µs by which events of one exchange may come after another's in a partition
_BATCH = 500  # records at a time, so that the caller's other tasks get their turn
_WAIT_MS = 500
_ENOUGH = 262_144  # bytes for which the broker gathers no more
_RETRY = 0.5  # s

Offsets = dict[TopicPartition, int]


class Reader(Generic[E]):
    """Reader of some kinds of events of some instruments. `decoders`: by topic.

    What the topics already hold comes in order of receipt; what follows comes as it arrives. `is_current`: everything
    that they held at the start was read. `lookback`: µs before the span's start from which to read. `gather_ms`: how
    long the broker may wait for more before it answers, as many small answers cost more time than few large ones.
    """

    def __init__(
        self,
        settings: Settings,
        decoders: Mapping[str, Decode[E]],
        instruments: Instruments,
        span: Span,
        lookback: int = 0,
        gather_ms: int = 0,
    ) -> None:
        self.is_current = False
        self._settings = settings
        self._decoders = {settings.topic(name): decode for name, decode in decoders.items()}
        self._instruments = instruments
        self._lookback = lookback
        self._fetch = {"fetch_min_bytes": _ENOUGH, "fetch_max_wait_ms": gather_ms} if gather_ms else {}
        self._is_from_now = span.start is None
        self._start = (_now() if span.start is None else span.start) - lookback
        # Events from now on may be of any time: they may be replayed.
        self._span = Span(0 if self._is_from_now else self._start, span.end)
        self._places: dict[TopicPartition, Place[E]] = {}

    async def batches(self) -> AsyncGenerator[Iterable[E], None]:
        """Yield events until the span's end, or without end. Read each batch to its end before the next.

        After an error, another call goes on after the last event that was yielded.

        Raise `StackError` if there is no broker or no topic, and `SymbolError` for a symbol that nobody ingests. Later
        outages of the broker only delay events.
        """
        async with self._opened() as consumer:
            async for batch in self._read_to(consumer, await self._ends(consumer)):
                yield batch
            self.is_current = True
            end = self._span.end
            yield []
            while end is None or _now() < end + _LATE:
                yield await self._next(consumer)
            async for batch in self._read_to(consumer, await self._ends(consumer)):
                yield batch

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Any]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self._settings.kafka, auto_offset_reset="earliest", **self._fetch)
        try:
            counts = await self._partition_counts()
            await consumer.start()
            await self._check_symbols(consumer, counts)
            await self._seek(consumer, counts)
        except (KafkaError, OSError) as error:
            await consumer.stop()
            raise self._unreachable(error) from None
        except BaseException:
            await consumer.stop()
            raise
        try:
            yield consumer
        finally:
            await consumer.stop()

    def _unreachable(self, error: Exception) -> StackError:
        return StackError(
            f"no broker answers at {self._settings.kafka}: start `marketprism demo` or `live`, or name another address "
            f"(`kafka=`, setting `kafka`): {error}"
        )

    async def _partition_counts(self) -> dict[str, int]:
        instruments = self._settings.topic(InstrumentChange.topic_name)
        client = AIOKafkaClient(bootstrap_servers=self._settings.kafka)
        try:
            await client.bootstrap()
            cluster = await client.fetch_all_metadata()
        finally:
            await client.close()
        counts = {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in (*self._decoders, instruments)}
        for topic in self._decoders:
            if not counts[topic]:
                raise StackError(
                    f"the broker at {self._settings.kafka} has no topic {topic}: name another broker "
                    "or `topic_prefix`, or create the topics with `marketprism topics --create`"
                )
        return counts

    async def _check_symbols(self, consumer: AIOKafkaConsumer, counts: dict[str, int]) -> None:
        """Compare the named symbols with the instruments that are ingested."""
        topic = self._settings.topic(InstrumentChange.topic_name)
        if not self._instruments.named or not counts[topic]:
            return
        places = [TopicPartition(topic, number) for number in range(counts[topic])]
        consumer.assign(places)
        left = {place: end for place, end in (await consumer.end_offsets(places)).items() if end}
        await consumer.seek_to_beginning(*places)
        keys: set[str] = set()
        while left := {place: end for place, end in left.items() if await consumer.position(place) < end}:
            for records in (await consumer.getmany(*left, timeout_ms=_WAIT_MS)).values():
                keys |= {record.key.decode() for record in records}
        self._instruments.check_known(keys)

    async def _seek(self, consumer: AIOKafkaConsumer, counts: dict[str, int]) -> None:
        if not self._places:
            self._places = await self._first_places(consumer, counts)
        consumer.assign(list(self._places))
        for at, place in self._places.items():
            consumer.seek(at, place.position)

    async def _first_places(self, consumer: AIOKafkaConsumer, counts: dict[str, int]) -> dict[TopicPartition, Place[E]]:
        wanted, exchanges = Wanted(self._instruments), self._instruments.exchanges
        places = {}
        for topic, decode in self._decoders.items():
            for number in self._instruments.partitions(counts[topic]):
                at = TopicPartition(topic, number)
                places[at] = Place(at, decode, wanted, exchanges, self._span)
        for at, offset in (await self._starts(consumer, list(places))).items():
            places[at].position = offset
        return places

    async def _starts(self, consumer: AIOKafkaConsumer, places: list[TopicPartition]) -> Offsets:
        ends: Offsets = await consumer.end_offsets(places)
        if self._is_from_now and not self._lookback:
            return ends
        # The broker stamps records when it receives them, so no event of the span comes before this time.
        since = max(0, self._start - _CLOCKS) // 1000
        found = await consumer.offsets_for_times(dict.fromkeys(places, since))
        return {at: found[at].offset if found[at] else end for at, end in ends.items()}

    async def _ends(self, consumer: AIOKafkaConsumer) -> Offsets:
        while True:
            try:
                ends: Offsets = await consumer.end_offsets(self._places)
            except KafkaError:  # an outage
                await asyncio.sleep(_RETRY)
            else:
                return ends

    async def _read_to(self, consumer: AIOKafkaConsumer, ends: Offsets) -> AsyncGenerator[Iterable[E], None]:
        """Yield the events up to these offsets, in order of receipt."""
        if len(self._places) == len(self._instruments.exchanges) == 1:
            [place] = self._places.values()
            while _is_behind(place, ends):
                for records in (await consumer.getmany(timeout_ms=_WAIT_MS, max_records=_BATCH)).values():
                    yield place.events(records)
        while behind := [place for place in self._places.values() if _is_behind(place, ends)]:
            place = min(behind, key=lambda place: place.reached)
            for records in (await consumer.getmany(place.at, timeout_ms=_WAIT_MS, max_records=_BATCH)).values():
                place.hold(records)
            yield self._due(place.reached for place in behind if _is_behind(place, ends))

    def _due(self, reached: Iterable[int]) -> list[E]:
        """Return the waiting events that nothing in a partition still behind can precede."""
        until = min(reached, default=NEVER + _SKEW) - _SKEW
        due = [each for place in self._places.values() for each in place.release(until)]
        due.sort(key=itemgetter(0))
        return [event for _, event in due]

    async def _next(self, consumer: AIOKafkaConsumer) -> Iterable[E]:
        fetched = await consumer.getmany(timeout_ms=_WAIT_MS, max_records=_BATCH)
        return chain.from_iterable(self._places[at].events(records) for at, records in fetched.items())


def decoders_of(models: Iterable[type[E]]) -> dict[str, Decode[E]]:
    """Return what decodes the events of these models, by topic."""
    return {model.topic_name: msgspec.json.Decoder(model).decode for model in models}


def _is_behind(place: Place[Any], ends: Offsets) -> bool:
    return place.position < ends[place.at] and not place.has_passed


def _now() -> int:
    return time.time_ns() // 1000
