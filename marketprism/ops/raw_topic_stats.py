"""Count frames and follow the connection state of every feed, from the raw topics."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from aiokafka import TopicPartition

from marketprism.ops.tail import tail
from schemas.channels import CORE_CHANNELS
from schemas.errors import FrameError, RawRecordError, SymbolError
from schemas.feeds import EXCHANGES, feed_of
from schemas.keys import EVERY, split_key
from schemas.markers import (
    MARKER,
    Answer,
    Clock,
    Connected,
    Connection,
    Definition,
    Delisted,
    Disconnected,
    Oversized,
    RestDown,
    RestFallback,
    RestFallbackEnded,
    RestUp,
    Subscribed,
    Wrapped,
    decode_text,
)
from schemas.raw import RawLine, decode_record
from schemas.settings import Settings
from schemas.topics import raw_topic

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class RawStats:
    """Statistics at one moment, by feed: `frames`, subscribed `instruments`, and connected `subscriptions`.

    `received_at`: receipt time of the newest frame, µs. `newest`: of the newest line of all, µs. `age`: seconds since
    the last record was read. `lost`: why a feed that has no connection now lost its last one. `by_rest`: instruments
    whose quotes are polled, as no socket brings their books; none while REST is down, too.
    """

    frames: dict[str, int] = field(default_factory=dict)
    instruments: dict[str, int] = field(default_factory=dict)
    subscriptions: dict[str, int] = field(default_factory=dict)
    received_at: dict[str, int] = field(default_factory=dict)
    newest: int = 0
    age: float = math.inf
    lost: dict[str, str] = field(default_factory=dict)
    by_rest: dict[str, int] = field(default_factory=dict)


class RawTopicStats:
    """Statistics of the raw topics, by feed.

    `frames`: number of frames since `start_offsets`. `instruments`: keys of the subscribed instruments. `connected`:
    key and channel of each connected subscription. `by_rest`: keys of the instruments whose quotes are polled.
    `start_offsets`: first offset of each partition by topic; earlier records belong to an earlier run.
    """

    def __init__(self, settings: Settings, start_offsets: Mapping[str, Sequence[int]] | None = None) -> None:
        self.frames: Counter[str] = Counter()
        self.instruments: dict[str, set[str]] = {}
        self.connected: dict[str, set[tuple[str, str]]] = {}
        self.by_rest: dict[str, set[str]] = {}
        self._kafka = settings.kafka
        self._lost: dict[str, str] = {}
        self._without_rest: set[str] = set()  # feeds
        self._feeds: dict[str, str] = {}
        self._received_at: dict[str, int] = {}  # ns
        self._newest = 0  # ns
        self._last_record_at = time.monotonic()
        self._next_offsets = {
            TopicPartition(settings.topic(raw_topic(exchange)), number): offset
            for exchange in EXCHANGES
            for number, offset in enumerate((start_offsets or {}).get(raw_topic(exchange), [0] * settings.partitions))
        }

    def read(self) -> RawStats:
        """Return the current statistics. While ingest and the broker run, ticks arrive every second."""
        return RawStats(
            dict(self.frames),
            {feed: len(keys) for feed, keys in self.instruments.items()},
            {feed: len(connected) for feed, connected in self.connected.items()},
            {feed: at // 1000 for feed, at in self._received_at.items()},
            self._newest // 1000,
            time.monotonic() - self._last_record_at,
            {feed: reason for feed, reason in self._lost.items() if not self.connected.get(feed)},
            {feed: len(keys) for feed, keys in self.by_rest.items() if feed not in self._without_rest},
        )

    async def run(self) -> None:
        """Read until cancelled. After an error, try again."""
        async for record in tail(self._kafka, self._next_offsets):
            self._last_record_at = time.monotonic()
            try:
                self.add_record(record.value)
            except RawRecordError as error:
                log.warning("not a raw record", topic=record.topic, offset=record.offset, reason=str(error))
            await asyncio.sleep(0)  # decoding a burst must not hold up the drawing

    def add_record(self, record: bytes) -> None:
        """Count the lines of one raw record."""
        for line in decode_record(record):
            self._newest = max(self._newest, line.local_timestamp)
            if line.key.endswith(EVERY):
                continue
            feed = self._feed(line.key)
            if line.frame.startswith(MARKER):
                self._on_marker(feed, line)
            else:
                self._count(feed, line.local_timestamp)

    def _count(self, feed: str, at: int) -> None:
        self.frames[feed] += 1
        self._received_at[feed] = at

    def _feed(self, key: str) -> str:
        if key not in self._feeds:
            exchange, symbol = split_key(key)
            try:
                self._feeds[key] = feed_of(exchange, symbol).name
            except SymbolError:
                self._feeds[key] = exchange
        return self._feeds[key]

    def _on_marker(self, feed: str, line: RawLine) -> None:
        try:
            marker = decode_text(line.frame)
        except FrameError:
            return  # the worker reports it
        match marker:
            case Definition():
                self.instruments.setdefault(feed, set()).add(line.key)
            case Connected():
                self.connected.setdefault(feed, set()).update(_channels(line.key, marker))
            case Disconnected():
                self.connected.setdefault(feed, set()).difference_update(_channels(line.key, marker))
                self._lost[feed] = marker.reason
            case RestFallback():
                self.by_rest.setdefault(feed, set()).add(line.key)
            case Delisted():
                self.instruments.setdefault(feed, set()).discard(line.key)
                self.by_rest.setdefault(feed, set()).discard(line.key)
            case RestFallbackEnded():
                self.by_rest.setdefault(feed, set()).discard(line.key)
            case Subscribed() if "books" in marker.channels:  # a killed ingest has not ended its polls
                self.by_rest.setdefault(feed, set()).discard(line.key)
            case RestDown():
                self._without_rest.add(feed)
            case RestUp() | Clock() | Answer():  # a killed ingest has not said that REST is up again
                self._without_rest.discard(feed)
            case Wrapped() | Oversized():
                self._count(feed, line.local_timestamp)


def _channels(key: str, marker: Connection) -> Iterator[tuple[str, str]]:
    return ((key, channel) for channel in marker.channels or CORE_CHANNELS)
