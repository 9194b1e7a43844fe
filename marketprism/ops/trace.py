"""Trace a stored row back to the exact frame that caused it."""

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.errors import MarketPrismError, RawRecordError, StackError
from schemas.feeds import EXCHANGES
from schemas.raw import RawLine, decode_record
from schemas.settings import Settings
from schemas.sources import split_source
from schemas.topics import JOIN, raw_topic

_WAIT_MS = 5_000


async def trace(settings: Settings, source: str) -> tuple[str, RawLine]:
    """Return the place of a `source`, as `topic-partition@offset:line`, and its raw line.

    For a signal, it is the line of the quote that caused it.
    """
    try:
        origin, (partition, offset, line, _) = split_source(source)
    except ValueError:
        raise RawRecordError(
            f"{source!r} is not a source of the form <exchange>:<partition>:<offset>:<line>:<n>"
        ) from None
    if origin != "join" and origin not in EXCHANGES:
        raise RawRecordError(f"unknown origin {origin!r}: the known ones are {', '.join(EXCHANGES)} and join")
    topic = settings.topic(JOIN if origin == "join" else raw_topic(origin))
    place = f"{topic}-{partition}@{offset}:{line}"
    value = await _record(settings, TopicPartition(topic, partition), offset)
    if origin == "join":
        return place, RawLine(0, "join", value.split(b"\n")[line])
    lines = list(decode_record(value))
    if line >= len(lines):
        raise RawRecordError(f"{place}: the record has only {len(lines)} lines")
    return place, lines[line]


async def _record(settings: Settings, place: TopicPartition, offset: int) -> bytes:
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka)
    try:
        await consumer.start()
        consumer.assign([place])
        consumer.seek(place, offset)
        found = await consumer.getmany(place, timeout_ms=_WAIT_MS, max_records=1)
        for records in found.values():
            if records[0].offset == offset:
                return bytes(records[0].value)
    except (KafkaError, OSError) as error:
        raise StackError(f"no broker answers at {settings.kafka} (setting `kafka`): {error}") from None
    finally:
        await consumer.stop()
    raise MarketPrismError(f"{place.topic}-{place.partition}@{offset} no longer exists: its retention has expired")
