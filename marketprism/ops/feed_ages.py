"""Read how old each feed's last event is, from the reports of the workers in `market.status`."""

import math
import time

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from marketprism.ops.topics import consumer_of
from schemas.errors import StackError, SymbolError
from schemas.events.health import Status
from schemas.feeds import feed_of
from schemas.settings import Settings

_REPORTS = 25.0  # s of reports that are read: each channel reports every 10 s
_TIMEOUT = 5.0  # s


async def feed_ages(settings: Settings) -> dict[str, float]:
    """Return the seconds since the last message of each feed that reports, by feed. Raise `StackError` on failure.

    It is the last message that a worker has processed; infinite if there was none. A feed that nobody ingests any more
    reports for as long as a worker knows its instruments.
    """
    newest: dict[str, float] = {}
    try:
        async with consumer_of(settings, fetch_max_wait_ms=100) as consumer:
            for value in await _recent(consumer, settings):
                body = orjson.loads(value)
                if body["type"] == "report":
                    feed = _feed(body["exchange"], body["symbol"])
                    was_heard = body["messages"] or body["age"]
                    at = (body["local_timestamp"] - body["age"]) / 1e6 if was_heard else -math.inf
                    newest[feed] = max(newest.get(feed, -math.inf), at)
    except (KafkaError, OSError) as error:
        raise StackError(f"cannot read {Status.topic_name} at {settings.kafka}: {error}") from None
    now = time.time()
    return {feed: max(0.0, now - at) for feed, at in sorted(newest.items())}


async def _recent(consumer: AIOKafkaConsumer, settings: Settings) -> list[bytes]:
    """Return the values of the last seconds."""
    places = [TopicPartition(settings.topic(Status.topic_name), number) for number in range(settings.partitions)]
    consumer.assign(places)
    ends = await consumer.end_offsets(places)
    since = int((time.time() - _REPORTS) * 1000)
    found = await consumer.offsets_for_times(dict.fromkeys(places, since))
    unread = {place: ends[place] for place, first in found.items() if first is not None and first.offset < ends[place]}
    for place in places:
        first = found.get(place)
        consumer.seek(place, first.offset if first else ends[place])
    values: list[bytes] = []
    deadline = time.monotonic() + _TIMEOUT
    while unread and time.monotonic() < deadline:
        for place, records in (await consumer.getmany(*unread, timeout_ms=200)).items():
            values += [record.value for record in records]
            if records[-1].offset + 1 >= unread[place]:
                del unread[place]
    return values


def _feed(exchange: str, symbol: str) -> str:
    try:
        return feed_of(exchange, symbol).name
    except SymbolError:
        return exchange
