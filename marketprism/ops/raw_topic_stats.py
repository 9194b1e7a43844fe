"""Count frames and follow the connection state of every feed, from the raw topics."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.channels import CHANNELS
from schemas.errors import SymbolError
from schemas.feeds import EXCHANGES, feed_of
from schemas.keys import EVERY
from schemas.markers import MARKER
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
            except Exception as error:  # noqa: BLE001 - without a retry, the view would freeze
                log.warning("cannot read the raw topics, trying again", reason=str(error) or repr(error))
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
                self._on_marker(feed, line.key, orjson.loads(line.frame))
            else:
                self.frames[feed] += 1

    def _feed(self, key: str) -> str:
        if key not in self._feeds:
            exchange, _, symbol = key.partition(":")
            try:
                self._feeds[key] = feed_of(exchange, symbol).name
            except SymbolError:
                self._feeds[key] = exchange
        return self._feeds[key]

    def _on_marker(self, feed: str, key: str, marker: dict[str, Any]) -> None:
        kind, channels = marker["marketprism"], marker.get("channels", CHANNELS)
        if kind == "instrument":
            self.instruments.setdefault(feed, set()).add(key)
        elif kind == "connected":
            self.connected.setdefault(feed, set()).update((key, channel) for channel in channels)
        elif kind == "disconnected":
            self.connected.setdefault(feed, set()).difference_update((key, channel) for channel in channels)
        elif kind in ("frame", "oversized"):
            self.frames[feed] += 1
