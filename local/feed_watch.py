"""What comes in: frames and connection state of every feed, read from the raw topics."""

import asyncio
from collections import Counter
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer

from schemas.errors import SymbolError
from schemas.feeds import CHANNELS, EXCHANGES, feed_of
from schemas.raw import EVERY, MARKER, decode_record
from schemas.settings import Settings
from schemas.topics import raw_topic


class FeedWatch:
    """By feed: `frames` since the start; `instruments` that ingest follows; `connected`, their channels that are up."""

    def __init__(self, settings: Settings) -> None:
        self.frames: Counter[str] = Counter()
        self.instruments: dict[str, set[str]] = {}
        self.connected: dict[str, set[tuple[str, str]]] = {}
        self._topics = [settings.topic(raw_topic(exchange)) for exchange in EXCHANGES]
        self._kafka = settings.kafka
        self._feeds: dict[str, str] = {}

    async def run(self) -> None:
        """Read until cancelled."""
        consumer = AIOKafkaConsumer(*self._topics, bootstrap_servers=self._kafka, auto_offset_reset="earliest")
        async with consumer:
            async for message in consumer:
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
