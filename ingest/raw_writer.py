"""Frames to raw records: one per partition and linger, in order, and nothing dropped without a marker saying so."""

import asyncio
import time
from collections import Counter, deque
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.raw import EVERY, MAX_FRAME, encode_line, encode_marker, partition_of
from schemas.settings import Settings
from schemas.topics import raw_topic

log = structlog.get_logger(__name__)

# How long aiokafka keeps a record that the broker does not take. Past it the record counts as lost.
_DELIVERY_TIMEOUT_MS = 600_000
_AWAY_AFTER = 2.0  # seconds that a record waits for its acknowledgement until we say that the broker is away


def raw_producer(settings: Settings) -> AIOKafkaProducer:
    """The producer of raw records: idempotent, so that a retry neither repeats nor reorders."""
    return AIOKafkaProducer(
        bootstrap_servers=settings.kafka,
        acks="all",
        enable_idempotence=True,
        compression_type="lz4",
        max_batch_size=1 << 20,
        max_request_size=4 << 20,
        request_timeout_ms=_DELIVERY_TIMEOUT_MS,
    )


class RawWriter:
    """The raw topic of one exchange. `put` never blocks; the bound is `buffer_mb` over all partitions."""

    def __init__(self, exchange: str, settings: Settings, producer: AIOKafkaProducer) -> None:
        self.exchange = exchange
        self.topic = settings.topic(raw_topic(exchange))
        self.linger = settings.linger_ms / 1000
        self.producer = producer
        self.frames = 0
        self.lost = 0
        self._partitions = settings.partitions
        self._bound = settings.buffer_mb << 20
        self._held = 0
        self._lanes = [_Lane(self, partition) for partition in range(settings.partitions)]

    def put(self, key: str, frame: bytes, stamp: int) -> None:
        """A frame of the instrument `key`, received at `stamp` (ns)."""
        self.frames += 1
        self._lanes[partition_of(key, self._partitions)].put(key, encode_line(stamp, key, frame))

    def mark(self, key: str, kind: str, /, **fields: Any) -> None:
        """A marker of one instrument, now."""
        line = encode_marker(time.time_ns(), key, kind, **fields)
        self._lanes[partition_of(key, self._partitions)].put(key, line)

    def tick(self) -> None:
        """Stream time, to every partition."""
        key = f"{self.exchange}:{EVERY}"
        line = encode_marker(time.time_ns(), key, "tick")
        for lane in self._lanes:
            lane.put(key, line)

    async def run(self) -> None:
        """Write, and tick each second, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for lane in self._lanes:
                group.create_task(lane.run())
            while True:
                await asyncio.sleep(1 - time.time() % 1)
                self.tick()

    async def close(self) -> None:
        """Write what is still held and wait for the broker, after `run` was cancelled."""
        for lane in self._lanes:
            await lane.write_all()
        await self.producer.flush()

    def room_for(self, size: int) -> bool:
        return self._held + size <= self._bound

    def hold(self, size: int) -> None:
        self._held += size

    def release(self, size: int) -> None:
        self._held -= size

    @property
    def half_empty(self) -> bool:
        return self._held <= self._bound // 2


class _Lane:
    """One partition. While frames cannot be held they are counted; their markers stand where they would have."""

    def __init__(self, writer: RawWriter, partition: int) -> None:
        self._writer = writer
        self._partition = partition
        self._lines: deque[tuple[str, bytes]] = deque()
        self._wake = asyncio.Event()
        self._dropped: Counter[str] = Counter()

    def put(self, key: str, line: bytes) -> None:
        writer = self._writer
        if self._dropped and writer.half_empty:
            self._mark_lost("the broker was away and the buffer full")
        if self._dropped or not writer.room_for(len(line)):
            self._drop(key)
            return
        self._append(key, line)

    def _append(self, key: str, line: bytes) -> None:
        self._writer.hold(len(line))
        self._lines.append((key, line))
        self._wake.set()

    def _drop(self, key: str) -> None:
        if not self._dropped:
            log.error("buffer full, frames are dropped", exchange=self._writer.exchange, partition=self._partition)
        if not key.endswith(EVERY):
            self._writer.lost += 1
            self._dropped[key] += 1
        else:
            self._dropped[key] += 0

    def _mark_lost(self, reason: str) -> None:
        lost, self._dropped = self._dropped, Counter()
        for key, count in lost.items():
            if count:
                log.error("frames lost", exchange=self._writer.exchange, symbol=key, frames=count, reason=reason)
                self._append(key, encode_marker(time.time_ns(), key, "lost", frames=count, reason=reason))

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.write_all()
            await asyncio.sleep(self._writer.linger)

    async def write_all(self) -> None:
        while self._lines:
            lines: list[tuple[str, bytes]] = []
            size = 0
            while self._lines and (not lines or size + len(self._lines[0][1]) <= MAX_FRAME):
                lines.append(self._lines.popleft())
                size += len(lines[-1][1])
            await self._send(lines, size)

    async def _send(self, lines: list[tuple[str, bytes]], size: int) -> None:
        record = b"".join([line for _, line in lines])
        keys = Counter(key for key, _ in lines)
        since = time.monotonic()
        try:
            sent = await self._writer.producer.send(self._writer.topic, record, partition=self._partition)
        except KafkaError as error:
            self._failed(keys, size, error)
            return
        sent.add_done_callback(lambda future: self._done(future, keys, size, since))

    def _done(self, future: "asyncio.Future[Any]", keys: Counter[str], size: int, since: float) -> None:
        error = None if future.cancelled() else future.exception()
        if error is not None:
            self._failed(keys, size, error)
            return
        self._writer.release(size)
        waited = time.monotonic() - since
        if waited > _AWAY_AFTER:
            log.warning(
                "the broker is back", exchange=self._writer.exchange, partition=self._partition, waited_s=waited
            )

    def _failed(self, keys: Counter[str], size: int, error: BaseException) -> None:
        """The broker never took a record: its frames are lost, and said to be, in front of whatever comes next."""
        self._writer.release(size)
        self._writer.lost += sum(keys.values())
        self._dropped.update(keys)
        self._mark_lost(f"the broker did not take them: {error}")
