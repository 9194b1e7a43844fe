"""Replay what the raw topics still hold into those of another prefix (`marketprism replay --from … --into …`)."""

from collections.abc import AsyncIterator
from contextlib import suppress

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from marketprism.captures.line_merger import LineMerger
from marketprism.captures.replay import Player, Progress, ReplaySummary
from marketprism.captures.replay_lines import ReplayLines
from marketprism.captures.replay_sender import ReplaySender
from marketprism.ops.topics import consumer_of, create_topics, read_all, topic_ends
from schemas.errors import SettingsError, StackError
from schemas.events.definitions import InstrumentChange
from schemas.feeds import EXCHANGES
from schemas.instruments import Instrument
from schemas.keys import EVERY
from schemas.raw import RawLine, decode_record
from schemas.settings import Settings
from schemas.topics import raw_topic

_CLOCKS_MS = 10_000  # by which the clocks of ingest and broker may differ
_WAIT_MS = 500


async def replay_retained(
    settings: Settings,
    into: Settings,
    start: int,
    end: int,
    speed: float | None = None,
    progress: Progress | None = None,
) -> ReplaySummary:
    """Replay the lines received from `start` until before `end`, µs since the epoch. `speed` as in `replay`.

    `into`: the same settings with another topic prefix, whose topics are created and must be empty. Raise
    `SettingsError` if the prefix is the same, and `StackError` if there is no broker or nothing to replay.
    """
    if into.topic_prefix == settings.topic_prefix:
        raise SettingsError(
            f"the raw topics cannot be replayed into themselves: --into must differ from the prefix in use, "
            f"{settings.topic_prefix!r}"
        )
    retained = await _Retained.find(settings, start, end)
    await create_topics(into)
    await _check_empty(into)
    lines = ReplayLines([retained], settings.partitions)

    def update(summary: ReplaySummary) -> None:
        if progress is not None:
            progress(summary, max(0, retained.reached // 1000 - start), end - start)

    async with ReplaySender(into, lines.exchanges) as sender:
        player = Player(lines, sender, speed, update)
        async for line in retained.lines():
            await player.play(line)
        await player.end()
        return player.report()


async def _check_empty(into: Settings) -> None:
    offsets = await topic_ends(into)
    if full := [into.topic(name) for name in map(raw_topic, EXCHANGES) if any(offsets.get(name, ()))]:
        raise StackError(f"{full[0]} holds records already: name a new prefix with --into")


class _Retained:
    """The lines that the raw topics hold of a span of time. `reached`: receipt of the last line read, ns."""

    def __init__(self, settings: Settings, offsets: dict[str, list[int]], start: int, end: int) -> None:
        self.exchanges = [name for name in EXCHANGES if any(offsets.get(raw_topic(name), ()))]
        self.definitions: dict[str, Instrument] = {}
        self.reached = 0
        self._settings = settings
        self._start, self._end = start * 1000, end * 1000
        self._ends = {
            TopicPartition(settings.topic(raw_topic(name)), number): offset
            for name in self.exchanges
            for number, offset in enumerate(offsets[raw_topic(name)])
        }

    @classmethod
    async def find(cls, settings: Settings, start: int, end: int) -> "_Retained":
        """Find what there is. Raise `StackError` if there is nothing."""
        offsets = await topic_ends(settings)
        retained = cls(settings, offsets, start, end)
        if not retained.exchanges:
            raise StackError(f"the raw topics of the broker at {settings.kafka} hold nothing to replay")
        if InstrumentChange.topic_name in offsets:
            await retained._read_definitions()
        return retained

    async def _read_definitions(self) -> None:
        """Read the definitions in force at the start. They were received long before it."""
        found = await read_all(self._settings, InstrumentChange.topic_name)
        for record in (record for records in found.values() for record in records):
            body = orjson.loads(record.value)
            key = record.key.decode()
            if body["local_timestamp"] * 1000 <= self._start or key not in self.definitions:
                with suppress(ValidationError):  # of another version: a later one, or what the symbol says, counts
                    fields = {name: "" if value is None else value for name, value in body.items()}
                    self.definitions[key] = Instrument.model_validate(fields)

    async def lines(self) -> AsyncIterator[RawLine]:
        """Yield the lines of the span by receipt time, without ticks."""
        try:
            async with consumer_of(self._settings, auto_offset_reset="earliest") as consumer:
                async for line in self._read(consumer):
                    self.reached = line.local_timestamp
                    if self._start <= line.local_timestamp and not line.key.endswith(EVERY):
                        yield line
        except (KafkaError, OSError) as error:
            raise StackError(f"cannot read the raw topics at {self._settings.kafka}: {error}") from None

    async def _read(self, consumer: AIOKafkaConsumer) -> AsyncIterator[RawLine]:
        """Yield the lines of all partitions by receipt time, always reading the partition that is behind."""
        merger, left = LineMerger(self._ends), await self._seek(consumer)
        for place in self._ends.keys() - left:
            merger.finish(place)
        while left:
            place = merger.last
            for records in (await consumer.getmany(place, timeout_ms=_WAIT_MS)).values():
                for record in records:
                    merger.add(place, record.value)
                if records[-1].offset + 1 >= self._ends[place]:
                    left.discard(place)
                    merger.finish(place)
            for text in merger.ready():
                [line] = decode_record(text)
                if line.local_timestamp >= self._end:
                    return
                yield line

    async def _seek(self, consumer: AIOKafkaConsumer) -> set[TopicPartition]:
        """Go to the beginning of the span, and return the partitions that have records from there on."""
        consumer.assign(list(self._ends))
        # The broker stamps records when it receives them, so no line of the span comes before this time.
        since = max(0, self._start // 1_000_000 - _CLOCKS_MS)
        found = await consumer.offsets_for_times(dict.fromkeys(self._ends, since))
        starts = {place: found[place].offset if found[place] else end for place, end in self._ends.items()}
        for place, offset in starts.items():
            consumer.seek(place, offset)
        return {place for place, end in self._ends.items() if starts[place] < end}
