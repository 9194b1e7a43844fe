"""Count frames and follow the connection state of every feed, from the raw topics."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.channels import CORE_CHANNELS
from schemas.errors import FrameError, SymbolError
from schemas.feeds import EXCHANGES, feed_of
from schemas.keys import EVERY, split_key
from schemas.logs import error_text, suspect_broker
from schemas.markers import (
    MARKER,
    Connected,
    Connection,
    Definition,
    Disconnected,
    Oversized,
    Wrapped,
    decode_text,
)
from schemas.raw import decode_record
from schemas.settings import Settings
from schemas.topics import raw_topic

log = structlog.get_logger(__name__)


class RawTopicStats:
    """Statistics of the raw topics, by feed.

    `frames`: number of frames since `start_offsets`. `instruments`: keys of the subscribed instruments. `connected`:
    key and channel of each connected subscription. `start_offsets`: first offset of each partition by topic; earlier
    records belong to an earlier run.
    """

    def __init__(self, settings: Settings, start_offsets: Mapping[str, Sequence[int]] | None = None) -> None:
        self.frames: Counter[str] = Counter()
        self.instruments: dict[str, set[str]] = {}
        self.connected: dict[str, set[tuple[str, str]]] = {}
        self._kafka = settings.kafka
        self._feeds: dict[str, str] = {}
        self._last_record_at = time.monotonic()
        self._next_offsets = {
            TopicPartition(settings.topic(raw_topic(exchange)), number): offset
            for exchange in EXCHANGES
            for number, offset in enumerate((start_offsets or {}).get(raw_topic(exchange), [0] * settings.partitions))
        }

    @property
    def age(self) -> float:
        """Seconds since the last record. While ingest and the broker run, ticks arrive every second."""
        return time.monotonic() - self._last_record_at

    async def run(self) -> None:
        """Read until cancelled. After an error, try again."""
        while True:
            try:
                await self._read()
            except KafkaError as error:
                suspect_broker(error_text(error))
                await asyncio.sleep(1)
            except Exception as error:  # noqa: BLE001 - without a retry, the view would freeze
                log.warning("cannot read the raw topics, trying again", reason=error)
                await asyncio.sleep(1)

    async def _read(self) -> None:
        async with AIOKafkaConsumer(bootstrap_servers=self._kafka, auto_offset_reset="earliest") as consumer:
            consumer.assign(list(self._next_offsets))
            for place, offset in self._next_offsets.items():
                consumer.seek(place, offset)
            async for message in consumer:
                self._next_offsets[TopicPartition(message.topic, message.partition)] = message.offset + 1
                self._last_record_at = time.monotonic()
                self.add_record(message.value)
                await asyncio.sleep(0)

    def add_record(self, record: bytes) -> None:
        """Count the lines of one raw record."""
        for line in decode_record(record):
            if line.key.endswith(EVERY):
                continue
            feed = self._feed(line.key)
            if line.frame.startswith(MARKER):
                self._on_marker(feed, line.key, line.frame)
            else:
                self.frames[feed] += 1

    def _feed(self, key: str) -> str:
        if key not in self._feeds:
            exchange, symbol = split_key(key)
            try:
                self._feeds[key] = feed_of(exchange, symbol).name
            except SymbolError:
                self._feeds[key] = exchange
        return self._feeds[key]

    def _on_marker(self, feed: str, key: str, text: bytes) -> None:
        try:
            marker = decode_text(text)
        except FrameError:
            return  # the worker reports it
        match marker:
            case Definition():
                self.instruments.setdefault(feed, set()).add(key)
            case Connected():
                self.connected.setdefault(feed, set()).update(_channels(key, marker))
            case Disconnected():
                self.connected.setdefault(feed, set()).difference_update(_channels(key, marker))
            case Wrapped() | Oversized():
                self.frames[feed] += 1


def _channels(key: str, marker: Connection) -> Iterator[tuple[str, str]]:
    return ((key, channel) for channel in marker.channels or CORE_CHANNELS)
