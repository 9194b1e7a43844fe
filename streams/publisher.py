"""Publish in batches: one task per output partition takes all queued records and hands them to the producer.

Faust's own `send` costs 190 µs an event. aiokafka's `send_batch` waits until the partition's previous batch has left.
If the agent awaited it, the worker would be idle most of the time. So the agent only appends to a queue, and waits
(`wait_for_space`) only when too much is queued. Records that a signal depends on leave at once. All others are gathered
for a moment, because a request costs the broker and the worker as much as many events, and delays the next one.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from aiokafka import AIOKafkaProducer

from schemas.errors import StackError
from schemas.limits import MAX_UNPUBLISHED

_GATHER = 0.01  # s for which records are gathered
_STALLED = 120.0  # s without progress after which a restart is more promising than waiting
_MOST_WAITING = 20_000  # records over all partitions above which the agents wait, as above `MAX_UNPUBLISHED` bytes

Entry = tuple[bytes | None, bytes]


class Publishers:
    """Queues of all output partitions of one worker.

    `on_error` is called with the first failure: nothing after it may be acknowledged. `urgent`: the topics whose
    records leave at once.
    """

    def __init__(
        self,
        producer: Callable[[], AIOKafkaProducer],
        on_error: Callable[[BaseException], None],
        urgent: Collection[str],
    ) -> None:
        self._producer = producer
        self._on_error = on_error
        self._urgent = urgent
        self._publishers: dict[tuple[str, int], _Publisher] = {}
        self._space = asyncio.Event()
        self.waiting = 0  # records
        self.size = 0  # bytes

    def put(self, topic: str, partition: int, key: bytes | None, value: bytes) -> None:
        """Queue one record. Never blocks."""
        publisher = self._publishers.get((topic, partition))
        if publisher is None:
            gather = 0 if topic in self._urgent else _GATHER
            publisher = self._publishers[topic, partition] = _Publisher(self, topic, partition, gather)
            # The client knows all topics from its start, but asks only for tracked ones as soon as one is tracked. It
            # would then forget the partition's leader, and a queued batch would never leave.
            self._producer().client.add_topic(topic)
        self.waiting += 1
        self.size += len(value)
        publisher.put((key, value))

    async def wait_for_space(self) -> None:
        """Return once the queues are short enough."""
        while self.waiting > _MOST_WAITING or self.size > MAX_UNPUBLISHED:
            self._space.clear()
            await self._space.wait()

    async def drain(self) -> None:
        """Wait until the broker has acknowledged everything queued before this call. Raises its errors."""
        await asyncio.gather(*(publisher.drain() for publisher in self._publishers.values()))

    def check_progress(self, now: float) -> None:
        """Raise `StackError` if a partition's records are waiting and the broker has taken none for 120 s.

        To be called regularly, with the monotonic time.
        """
        for (topic, partition), publisher in self._publishers.items():
            if publisher.is_waiting() and now - publisher.progress_at > _STALLED:
                raise StackError(f"records of {topic}-{partition} are waiting: none was taken for {_STALLED:.0f} s")

    def handed_over(self, count: int, size: int) -> None:
        """Note that records were handed to the producer."""
        self.waiting -= count
        self.size -= size
        self._space.set()

    def batch(self) -> Any:
        """Return an empty batch of the producer."""
        return self._producer().create_batch()

    async def send(self, batch: Any, topic: str, partition: int) -> "asyncio.Future[Any]":
        """Hand a batch to the producer, once the partition's previous one has left. Return its acknowledgement."""
        sent: asyncio.Future[Any] = await self._producer().send_batch(batch, topic, partition=partition)
        return sent

    def failed(self, error: BaseException) -> None:
        """Report the failure of a publisher."""
        self._on_error(error)


class _Publisher:
    """Queue of one output partition. It stays in order, because its batches leave one after the other.

    `progress_at`: when records were last handed over, or the first of the waiting ones was queued; monotonic, s.
    """

    def __init__(self, owner: Publishers, topic: str, partition: int, gather: float) -> None:
        self._owner = owner
        self._gather = gather
        self._topic = topic
        self._partition = partition
        self._queue: list[Entry] = []
        self._wake = asyncio.Event()
        self._progress = asyncio.Event()  # set, and replaced by a new one, whenever queued records were handed over
        self._put = self._handed = 0  # total records
        self._error: BaseException | None = None
        self._sent: deque[asyncio.Future[Any]] = deque()
        self.progress_at = time.monotonic()
        self.task = asyncio.create_task(self._run(), name=f"publish {topic}-{partition}")

    def is_waiting(self) -> bool:
        """Return whether the broker has not acknowledged everything that was queued."""
        return self._put > self._handed or any(not sent.done() for sent in self._sent)

    def put(self, entry: Entry) -> None:
        if self._put == self._handed:
            self.progress_at = time.monotonic()
        self._queue.append(entry)
        self._put += 1
        self._wake.set()

    async def drain(self) -> None:
        goal = self._put  # later records are not waited for: there may always be more
        while self._handed < goal and self._error is None:
            await self._progress.wait()
        if self._error is not None:
            raise self._error
        await asyncio.gather(*self._sent)

    def _notify(self) -> None:
        self._progress.set()
        self._progress = asyncio.Event()

    async def _run(self) -> None:
        try:
            while True:
                await self._wake.wait()
                if self._gather:
                    await asyncio.sleep(self._gather)
                self._wake.clear()
                entries, self._queue = self._queue, []
                for batch in self._batches(entries):
                    self._sent.append(await self._owner.send(batch, self._topic, self._partition))
                self.progress_at = time.monotonic()
                self._owner.handed_over(len(entries), sum(len(value) for _, value in entries))
                self._forget_delivered()
                self._handed += len(entries)
                self._notify()
        except Exception as error:  # whatever it is, nothing after it may be acknowledged: the worker must crash
            self._error = error
            self._notify()
            self._owner.failed(error)
            raise

    def _batches(self, entries: Iterable[Entry]) -> Iterator[Any]:
        batch = self._owner.batch()
        for key, value in entries:
            if batch.append(key=key, value=value, timestamp=None) is None:
                yield batch
                batch = self._owner.batch()
                batch.append(key=key, value=value, timestamp=None)
        yield batch

    def _forget_delivered(self) -> None:
        while self._sent and self._sent[0].done():
            self._sent.popleft().result()
