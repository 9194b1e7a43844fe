"""Trace a stored row back to the frames that caused it.

A row's `source` names a raw line, a line of the join, or an event that the sink could not store
(`schemas/sources.py`). The steps lead from there down to raw lines.
"""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from marketprism.ops.topics import admin, consumer_of
from schemas.errors import RawRecordError, StackError
from schemas.feeds import EXCHANGES
from schemas.raw import decode_record
from schemas.settings import Settings
from schemas.sources import source_of, split_source
from schemas.topics import JOIN, STORED_TOPICS, raw_topic

_WAIT_MS = 5_000
_SINK = "sink-"
_NUMBER = re.compile(r"[0-9]{1,18}")  # `int` takes signs, spaces and underscores too; an offset has 64 bits


class Step(NamedTuple):
    """One step down: what it is and where, and its bytes."""

    title: str
    body: bytes


class _Quote(msgspec.Struct):
    source: str


async def trace(settings: Settings, source: str, sides: Mapping[str, str] | None = None) -> list[Step]:
    """Return the steps from a `source` down to raw lines.

    `sides`: sources of the quotes of both sides, by name, if the source is a stored signal's. Otherwise a line of the
    join leads to the quote that caused it. Raise `RawRecordError` if the text is no source, or its record is not
    written yet or not kept any more, and `StackError` without a broker.
    """
    check_source(source)
    async with _reading(settings) as tracer:
        if not sides:
            return await tracer.follow(source)
        return [
            step._replace(title=f"{name} side, {step.title}")
            for name, each in sides.items()
            for step in await tracer.follow(each)
        ]


def check_source(source: str) -> None:
    """Raise `RawRecordError` if the text is not a source."""
    origin, *numbers = source.split(":")
    if len(numbers) != 4 or not all(map(_NUMBER.fullmatch, numbers)):
        raise RawRecordError(f"{source!r:.200} is not a source of the form <exchange>:<partition>:<offset>:<line>:<n>")
    known = (*EXCHANGES, "join", *(_SINK + topic for topic in STORED_TOPICS))
    if origin not in known:
        raise RawRecordError(f"unknown origin {origin!r}: the known ones are {', '.join(EXCHANGES)}, join and sink-…")


@asynccontextmanager
async def _reading(settings: Settings) -> AsyncIterator["_Tracer"]:
    try:
        async with consumer_of(settings) as consumer:
            yield _Tracer(consumer, settings)
    except (KafkaError, OSError) as error:
        raise StackError(
            f"no broker answers at {settings.kafka} (setting `kafka`): start the system, or name the directory of a "
            f"finished run with --data ({error})"
        ) from None


class _Tracer:
    """Reader of single records."""

    def __init__(self, consumer: AIOKafkaConsumer, settings: Settings) -> None:
        self._consumer = consumer
        self._settings = settings

    async def follow(self, source: str) -> list[Step]:
        """Return the steps from a source down to the raw line."""
        origin, (partition, offset, line, _) = split_source(source)
        if origin.startswith(_SINK):
            place = TopicPartition(self._settings.topic(origin.removeprefix(_SINK)), partition)
            event = await self._record(place, offset)
            return [Step(f"event {_text(place)}@{offset}", event), *await self._below(source_of(event).decode())]
        place = TopicPartition(self._settings.topic(JOIN if origin == "join" else raw_topic(origin)), partition)
        where, value = f"{_text(place)}@{offset}:{line}", await self._record(place, offset)
        if origin == "join":
            return await self._joined(where, value, line)
        lines = list(decode_record(value))
        if line >= len(lines):
            raise RawRecordError(f"{where}: the record has only {len(lines)} lines")
        found = lines[line]
        return [Step(f"{where}  {found.key}  received at {found.local_timestamp} ns", found.frame)]

    async def _joined(self, where: str, value: bytes, line: int) -> list[Step]:
        lines = value.split(b"\n")
        if line >= len(lines):
            raise RawRecordError(f"{where}: the record has only {len(lines)} lines")
        text = lines[line]
        step = Step(f"line of the join {where}", text)
        try:
            quote = msgspec.json.decode(text.partition(b"\t")[2], type=_Quote)
        except msgspec.DecodeError:  # a tick
            return [step]
        return [step, *await self._below(quote.source)]

    async def _below(self, source: str) -> list[Step]:
        """Return the steps below a step that was found, as far as they are still kept."""
        try:
            return await self.follow(source)
        except (RawRecordError, ValueError) as error:
            return [Step(f"its source {source}: {error}", b"")]

    async def _record(self, place: TopicPartition, offset: int) -> bytes:
        begin, end = await self._bounds(place)
        where = f"{_text(place)}@{offset}"
        if offset >= end:
            raise RawRecordError(f"{where} is not written yet: the topic ends at {end}. Is it another system's source?")
        if offset < begin:
            raise RawRecordError(f"{where} is past its retention: the oldest record that is kept is {begin}")
        self._consumer.assign([place])
        self._consumer.seek(place, offset)
        found = await self._consumer.getmany(place, timeout_ms=_WAIT_MS, max_records=1)
        for records in found.values():
            if records[0].offset == offset:
                return bytes(records[0].value)
        raise RawRecordError(f"{where} could not be read within {_WAIT_MS // 1000} s")

    async def _bounds(self, place: TopicPartition) -> tuple[int, int]:
        async with admin(self._settings) as client:  # the consumer would wait for a partition that does not exist
            [topic] = await client.describe_topics([place.topic])
        if place.partition not in {partition["partition"] for partition in topic["partitions"]}:
            raise RawRecordError(f"there is no partition {_text(place)} at {self._settings.kafka}")
        begins = await self._consumer.beginning_offsets([place])
        ends = await self._consumer.end_offsets([place])
        return begins[place], ends[place]


def _text(place: TopicPartition) -> str:
    return f"{place.topic}-{place.partition}"
