"""What comes in: frames and connection state of every feed, read from the raw topics."""

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
    """By feed: `frames` since `begin`; `instruments` that ingest follows; `connected`, their channels that are up.

    `begin`: the first offset of each partition by topic; what stands before it is of an earlier run.
    """

    def __init__(self, settings: Settings, begin: Mapping[str, Sequence[int]] | None = None) -> None:
        self.frames: Counter[str] = Counter()
        self.instruments: dict[str, set[str]] = {}
        self.connected: dict[str, set[tuple[str, str]]] = {}
        self._kafka = settings.kafka
        self._feeds: dict[str, str] = {}
        self._heard_at = time.monotonic()
        self._next = {
            TopicPartition(settings.topic(raw_topic(exchange)), number): offset
            for exchange in EXCHANGES
            for number, offset in enumerate((begin or {}).get(raw_topic(exchange), [0] * settings.partitions))
        }

    @property
    def age(self) -> float:
        """Seconds since the last record; ticks come each second while ingest and broker work."""
        return time.monotonic() - self._heard_at

    async def run(self) -> None:
        """Read until cancelled, whatever happens to the broker."""
        while True:
            try:
                await self._read()
            except Exception as error:  # noqa: BLE001 - a view that stands still would be worse
                log.warning("the raw topics cannot be read, trying again", reason=str(error) or repr(error))
                await asyncio.sleep(1)

    async def _read(self) -> None:
        async with AIOKafkaConsumer(bootstrap_servers=self._kafka, auto_offset_reset="earliest") as consumer:
            consumer.assign(list(self._next))
            for place, offset in self._next.items():
                consumer.seek(place, offset)
            async for message in consumer:
                self._next[TopicPartition(message.topic, message.partition)] = message.offset + 1
                self._heard_at = time.monotonic()
                self.take(message.value)
                await asyncio.sleep(0)

    def take(self, record: bytes) -> None:
        """Count one raw record."""
        for line in decode_record(record):
            if line.key.endswith(EVERY):
                continue
            feed = self._feed(line.key)
            if line.frame.startswith(MARKER):
                self._marker(feed, line.key, orjson.loads(line.frame))
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

    def _marker(self, feed: str, key: str, marker: dict[str, Any]) -> None:
        kind, channels = marker["marketprism"], marker.get("channels", CHANNELS)
        if kind == "instrument":
            self.instruments.setdefault(feed, set()).add(key)
        elif kind == "connected":
            self.connected.setdefault(feed, set()).update((key, channel) for channel in channels)
        elif kind == "disconnected":
            self.connected.setdefault(feed, set()).difference_update((key, channel) for channel in channels)
        elif kind in ("frame", "oversized"):
            self.frames[feed] += 1
