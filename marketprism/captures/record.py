"""Record the raw topics to a capture file (`marketprism record OUT.zst`)."""

import asyncio
import gzip
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import structlog
import zstandard
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from ingest.producer import check_partitions, partition_counts
from marketprism.captures.line_merger import LineMerger
from marketprism.captures.replay_lines import is_frame
from marketprism.captures.stopping import finished_before, stop_event
from schemas.control import SnapshotRequest, encode_request
from schemas.errors import SettingsError, StackError
from schemas.keys import EVERY, UNKNOWN, split_key
from schemas.settings import Settings
from schemas.topics import CONTROL, raw_topic
from streams.topic_wait import wait_for_topics

log = structlog.get_logger(__name__)

_FLUSH_EVERY = 1.0  # s; a kill loses at most this much
_MAX_WAIT = 3.0  # s that lines wait for a partition that receives nothing, not even ticks


@dataclass
class RecordSummary:
    """Result of a recording: lines, the frames among them, bytes before compression, and its duration.

    `has_begun`: the topics existed, and there is a file.
    """

    has_begun: bool = False
    lines: int = 0
    frames: int = 0
    bytes: int = 0
    seconds: float = 0.0


async def record(settings: Settings, exchanges: Sequence[str], path: Path, duration: float = 0.0) -> RecordSummary:
    """Record raw lines by receipt time, from now on, for `duration` seconds (0: no limit) or until SIGINT or SIGTERM.

    For each instrument, a definition and a snapshot are requested from ingest, so that the capture is complete. If the
    broker or the topics do not exist yet, the recording starts when they do. The file can be read after a kill, but
    the last second may be missing. Raise `StackError` if a topic's number of partitions differs from the setting.
    """
    with stop_event() as stop:
        topics = [*map(raw_topic, exchanges), CONTROL]
        if not await finished_before(stop, wait_for_topics(settings, topics)):
            return RecordSummary()
        with _created(path) as file:
            summary = await _Recorder(settings, exchanges, file).run(stop, duration)
    log.info("stopped", lines=summary.lines, bytes=summary.bytes)
    return summary


class _Recorder:
    """Consumer of the raw topics that writes their lines to a file."""

    def __init__(self, settings: Settings, exchanges: Sequence[str], file: BinaryIO) -> None:
        self._settings = settings
        self._places = [
            TopicPartition(settings.topic(raw_topic(name)), number)
            for name in exchanges
            for number in range(settings.partitions)
        ]
        self._merger = LineMerger(self._places)
        self._file = file
        self._seen_keys: set[bytes] = set()
        self._summary = RecordSummary(has_begun=True)

    async def run(self, stop: asyncio.Event, duration: float) -> RecordSummary:
        began = time.monotonic()
        consumer = AIOKafkaConsumer(bootstrap_servers=self._settings.kafka, auto_offset_reset="latest")
        producer = AIOKafkaProducer(bootstrap_servers=self._settings.kafka)
        try:
            await consumer.start()
            await producer.start()
            await self._assign(consumer, producer)
            log.info("recording", topics=sorted({place.topic for place in self._places}))
            while not stop.is_set() and (not duration or time.monotonic() - began < duration):
                await self._consume(consumer, producer)
            log.info("stopping")
            self._write(self._merger.rest())
        except (KafkaError, OSError) as error:
            raise StackError(f"cannot read the raw topics at {self._settings.kafka}: {error}") from None
        finally:
            await producer.stop()
            await consumer.stop()
        self._summary.seconds = round(time.monotonic() - began, 1)
        return self._summary

    async def _assign(self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
        topics = {place.topic for place in self._places}
        check_partitions(await partition_counts(producer, sorted(topics)), self._settings)
        consumer.assign(self._places)
        await consumer.seek_to_end()

    async def _consume(self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
        """Write the records of about one second, then flush the file."""
        deadline = time.monotonic() + _FLUSH_EVERY
        while (left := deadline - time.monotonic()) > 0:
            for place, messages in (await consumer.getmany(timeout_ms=min(int(left * 1000) + 1, 200))).items():
                for message in messages:
                    self._merger.add(place, message.value)
            for line in self._write(self._merger.ready(time.time_ns() - int(_MAX_WAIT * 1e9))):
                await self._request_snapshot(producer, line)
        self._file.flush()

    def _write(self, lines: Iterator[bytes]) -> list[bytes]:
        """Write lines. Return the first line of each new instrument."""
        first = []
        for line in lines:
            self._file.write(line)
            self._summary.lines += 1
            self._summary.bytes += len(line)
            start = line.index(b"\t") + 1
            end = line.index(b"\t", start)
            self._summary.frames += is_frame(line, end + 1)
            key = line[start:end]
            if key not in self._seen_keys:
                self._seen_keys.add(key)
                first.append(line)
        return first

    async def _request_snapshot(self, producer: AIOKafkaProducer, line: bytes) -> None:
        stamp, key, _ = line.split(b"\t", 2)
        exchange, symbol = split_key(key.decode())
        if symbol in (EVERY, UNKNOWN):
            return
        request = SnapshotRequest(exchange=exchange, symbol=symbol, reason="record", timestamp=int(stamp) // 1000)
        await producer.send_and_wait(self._settings.topic(CONTROL), encode_request(request), key=key)


@contextmanager
def _created(path: Path) -> Iterator[BinaryIO]:
    """Create the capture file, compressed by its suffix. A `flush` makes everything written so far readable."""
    try:
        target = path.open("xb")
    except FileExistsError:
        raise SettingsError(f"{path} already exists: name another file, or remove it") from None
    except OSError as error:
        raise SettingsError(f"cannot write {path}: {error.strerror}") from None
    with target:
        if path.suffix == ".zst":
            with zstandard.ZstdCompressor().stream_writer(target, closefd=False) as writer:
                yield cast(BinaryIO, _FlushedFile(writer, target))
        elif path.suffix == ".gz":
            with gzip.GzipFile(fileobj=target, mode="wb") as writer:
                yield cast(BinaryIO, _FlushedFile(writer, target))
        else:
            yield target


class _FlushedFile:
    """Compressed file whose `flush` reaches both the compressor and the file."""

    def __init__(self, compressor: Any, target: BinaryIO) -> None:
        self.write = compressor.write
        self._compressor = compressor
        self._target = target

    def flush(self) -> None:
        self._compressor.flush()
        self._target.flush()
