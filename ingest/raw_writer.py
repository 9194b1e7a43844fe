"""Write frames and markers to the raw topics: batched per partition, never reordered, never blocking the caller."""

import asyncio
import time
from collections.abc import Iterable
from types import TracebackType

import structlog

from ingest.producer import RetryingProducer
from ingest.raw_buffer import RawBuffer, Record, Slot
from schemas.feeds import Feed
from schemas.keys import EVERY, input_partition_of, key_of, split_key
from schemas.markers import Disconnected, Markers, Stopped, Tick
from schemas.settings import Settings
from schemas.topics import raw_topic

log = structlog.get_logger(__name__)

_DRAIN_TIMEOUT = 10.0  # s


class RawWriter:
    """Writer of all raw topics: `async with RawWriter(…)`. Lines are buffered at once and sent in the background.

    The first line after a pause is sent at once. While lines keep coming, a partition gets a record every `linger_ms`,
    or as fast as the broker acknowledges them. `is_stopping`: whether ingest is being stopped.
    """

    def __init__(self, settings: Settings, feeds: Iterable[Feed]) -> None:
        self._feeds: dict[str, list[str]] = {}  # by exchange
        for feed in feeds:
            self._feeds.setdefault(feed.exchange, []).append(feed.name)
        self._partitions = settings.partitions
        self._linger = settings.linger_ms / 1000
        self._buffer = RawBuffer(settings.buffer_mb << 20)
        self._slots = {
            name: [Slot(settings.topic(raw_topic(name)), number) for number in range(settings.partitions)]
            for name in self._feeds
        }
        self._filled = {slot: asyncio.Event() for slots in self._slots.values() for slot in slots}
        self._by_key: dict[str, Slot] = {}
        self._producer = RetryingProducer(settings, dict.fromkeys(slot.topic for slot in self._filled))
        self._tasks: list[asyncio.Task[None]] = []
        self.is_stopping = False

    def end_of(self, channels: list[str], reason: str) -> Markers:
        """Return the marker of channels that nobody delivers from now on. A stop of ingest itself is no loss."""
        return Stopped(channels=channels) if self.is_stopping else Disconnected(channels=channels, reason=reason)

    def write_frame(self, local_timestamp: int, key: str, frame: bytes) -> None:
        """Write a frame or snapshot as received. `local_timestamp`: ns since the epoch; `key`: `exchange:symbol`."""
        slot = self._by_key.get(key) or self._slot(key)
        was_dropping = self._buffer.dropping
        if self._buffer.add_frame(slot, local_timestamp, key, frame):
            self._filled[slot].set()
        elif not was_dropping:
            log.error("buffer full: dropping frames until the broker is back", bytes=self._buffer.size)

    def write_marker(self, local_timestamp: int, key: str, marker: Markers) -> None:
        """Write a marker. `local_timestamp`: ns since the epoch; `key`: `exchange:symbol`."""
        slot = self._by_key.get(key) or self._slot(key)
        if self._buffer.add_marker(slot, local_timestamp, key, marker):
            self._filled[slot].set()

    async def wait_for_failure(self) -> None:
        """Wait until a background task fails, and raise its error. Being cancelled means that ingest is stopping."""
        try:
            done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION)
        except asyncio.CancelledError:
            self.is_stopping = True
            raise
        for task in done:
            task.result()

    async def __aenter__(self) -> "RawWriter":
        self._tasks = [asyncio.create_task(self._write(slot)) for slot in self._filled]
        self._tasks.append(asyncio.create_task(self._tick()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        *writers, ticker = self._tasks
        ticker.cancel()
        await self._drain(writers)
        for task in writers:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._producer.close()

    async def _drain(self, writers: list["asyncio.Task[None]"]) -> None:
        deadline = time.monotonic() + _DRAIN_TIMEOUT
        while self._buffer.size and time.monotonic() < deadline and not any(task.done() for task in writers):
            await asyncio.sleep(0.01)
        if self._buffer.size:
            log.error("stopped before the broker acknowledged all frames", bytes=self._buffer.size)

    def _slot(self, key: str) -> Slot:
        slot = self._slots[split_key(key)[0]][input_partition_of(key, self._partitions)]
        self._by_key[key] = slot
        return slot

    async def _write(self, slot: Slot) -> None:
        loop, buffer, filled = asyncio.get_running_loop(), self._buffer, self._filled[slot]
        while True:
            await filled.wait()
            began = loop.time()
            record = buffer.take(slot)
            if record is None:
                filled.clear()
                continue
            await self._producer.send(slot.topic, slot.partition, record)
            self._release(record)
            await asyncio.sleep(max(began + self._linger - loop.time(), 0))

    def _release(self, record: Record) -> None:
        was_dropping = self._buffer.dropping
        self._buffer.release(record)
        if was_dropping and not self._buffer.dropping:
            log.warning("buffer drained: losses are recorded as `lost` markers", frames_lost=self._buffer.dropped)
            for filled in self._filled.values():  # the markers may be in any of them
                filled.set()

    async def _tick(self) -> None:
        """Write a tick marker to every partition every second: stream time, even where no data arrives."""
        while True:
            await asyncio.sleep(1 - time.time() % 1)
            now = time.time_ns()
            for exchange, slots in self._slots.items():
                for slot in slots:
                    feeds = self._feeds[exchange]
                    if self._buffer.add_marker(slot, now, key_of(exchange, EVERY), Tick(feeds=feeds)):
                        self._filled[slot].set()
