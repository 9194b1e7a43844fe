"""Checkpoint, then acknowledge: keep state in memory, and save it in a Faust table before its input is acknowledged.

For each source partition: (1) the entries that have changed are encoded one by one, each as of the last record, while
other records go on; (2) the publishers drain; (3) the broker acknowledges the entries in the table's changelog; (4) the
records from before (1) are acknowledged. So a committed offset is never ahead of the table or the output. After a crash
the table is restored, and records that are read again are skipped up to each entry's `checkpoint_offset`.

The entries go through our own publishers. Faust's table sends them through a buffer whose flush gives up after 0.1 s
without an acknowledgement (`ProducerBuffer.flush_atmost`), and whose task ends at the first entry that the producer
rejects.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from typing import Any, Generic, Protocol, TypeVar

import structlog

from schemas.errors import CheckpointError
from streams.poison import Failures
from streams.publisher import Publishers

log = structlog.get_logger(__name__)

BOOKS_TABLE, JOIN_TABLE = "books", "join"


class PartitionState(Protocol):
    """State of one source partition, made of keyed entries."""

    def take_changed(self) -> list[str]:
        """Return the keys of the entries that have changed since the last call."""

    def take_gone(self) -> list[str]:
        """Return the keys of the entries that were deleted since the last call."""

    def dump(self, key: str) -> bytes:
        """Return one entry as of the last record, of bounded size."""

    def load(self, key: str, dump: bytes) -> None:
        """Restore one entry."""

    def owns(self, key: str) -> bool:
        """Return whether an entry of the table belongs to this partition."""


_PART = 8  # entries that are encoded or written without a pause: some milliseconds
_SHARE = 0.02  # of a worker's time that checkpoints may take; the work that they cause in the producer takes twice that
_LONGEST = 30.0  # s until the next one in any case
_GONE = b""  # the value of a deleted entry

S = TypeVar("S", bound=PartitionState)
T = TypeVar("T")


class Checkpointed(Generic[S]):
    """States of the assigned partitions of one agent.

    `create(tp)` returns an empty state. `failures`: the records on which workers died, kept in the same table.
    """

    def __init__(
        self,
        app: Any,
        table: Any,
        publishers: Callable[[], Publishers],
        create: Callable[[Any], S],
        poison_attempts: int,
    ) -> None:
        self.failures = Failures(poison_attempts, self._save_failure)
        self._app = app
        self._table = table
        self._publishers = publishers
        self._create = create
        self._states: dict[Any, S] = {}
        self._revocations = 0
        self._unacked: defaultdict[Any, list[Any]] = defaultdict(list)
        self._lock = asyncio.Lock()
        self._spent = 0.0  # s, in all
        self._next = 0.0
        self._halted = False

    def halt(self) -> None:
        """Take no more checkpoints: a record is half processed, and its state must not be kept."""
        self._halted = True

    @property
    def states(self) -> dict[Any, S]:
        """The states by topic and partition, of partitions that had records."""
        return self._states

    def stored_keys(self) -> list[str]:
        """Return the keys of all entries in the table."""
        return [key.decode() for key, dump in self._table.items() if dump]

    async def state(self, tp: Any) -> S:
        """Return the partition's state, restored from the table at the partition's first record."""
        while tp not in self._states:
            revocations, state = self._revocations, await self._restored(tp)
            if revocations == self._revocations:  # else another worker may have owned it meanwhile
                self._states[tp] = state
        return self._states[tp]

    async def _restored(self, tp: Any) -> S:
        state = self._create(tp)
        stored = [(key.decode(), dump) for key, dump in self._table.items() if dump]
        self.failures.load(tp, dict(stored))
        entries = [(key, dump) for key, dump in stored if not Failures.is_key(key) and state.owns(key)]
        async for part in self._in_parts(entries):
            for key, dump in part:
                self._load(state, key, dump)
        log.debug("state restored", topic=tp.topic, partition=tp.partition, entries=len(entries))
        return state

    def _load(self, state: S, key: str, dump: bytes) -> None:
        try:
            state.load(key, dump)
        except CheckpointError:
            raise
        except Exception:  # whatever it is: all others go on without this entry, and its book requests a snapshot
            log.exception("checkpoint entry cannot be read: starting from nothing", key=key, bytes=len(dump))

    def processed(self, event: Any) -> None:
        """Note that the state contains this record. The next checkpoint acknowledges it; its bytes are dropped."""
        event.value = event.message.value = None
        self._unacked[event.message.tp].append(event)

    async def checkpoint_in_turn(self) -> None:
        """Take a checkpoint, unless the last one took long and is too recent: many books must not cost ever more."""
        if time.monotonic() >= self._next:
            await self.checkpoint()

    async def checkpoint(self) -> None:
        """Take a checkpoint of every partition that had records since the last one."""
        async with self._lock:
            if self._halted:
                return
            began = self._spent
            changed = {tp: (self._unacked.pop(tp), self._states[tp].take_changed()) for tp in list(self._unacked)}
            if not changed:
                return
            dumps = [(tp, events, await self._dump(tp, keys)) for tp, (events, keys) in changed.items()]
            await self._publishers().drain()
            if self._halted:
                return
            for tp, _, entries in dumps:
                if self._is_ours(tp):
                    await self._write(tp, entries)
            await self._publishers().drain()
            for tp, events, _ in dumps:
                if self._is_ours(tp):
                    for event in events:
                        event.ack()
            self._next = time.monotonic() + min((self._spent - began) / _SHARE, _LONGEST)

    def _is_ours(self, tp: Any) -> bool:
        return tp in self._states and tp in self._app.consumer.assignment()

    async def _dump(self, tp: Any, keys: list[str]) -> list[tuple[str, bytes]]:
        # Only its own: a line that was written when another partition owned its key leaves an entry in memory.
        state = self._states[tp]
        entries = [(key, _GONE) for key in state.take_gone() if state.owns(key)]
        async for part in self._in_parts([key for key in keys if state.owns(key)]):
            entries += [(key, state.dump(key)) for key in part]
        return entries

    async def _write(self, tp: Any, entries: list[tuple[str, bytes]]) -> None:
        async for part in self._in_parts(entries):
            for key, dump in part:
                self._put(tp.partition, key, dump)

    def _put(self, partition: int, key: str, dump: bytes) -> None:
        self._table.data[key.encode()] = dump
        self._publishers().put(self._table.changelog_topic.get_topic_name(), partition, key.encode(), dump)

    async def _save_failure(self, tp: Any, key: str, dump: bytes) -> None:
        self._put(tp.partition, key, dump)
        await self._publishers().drain()

    async def _in_parts(self, items: list[T]) -> AsyncIterator[list[T]]:
        """Yield a few items at a time, so that records and heartbeats go on meanwhile, and count the time they take."""
        for first in range(0, len(items), _PART):
            began = time.monotonic()
            yield items[first : first + _PART]
            self._spent += time.monotonic() - began
            await asyncio.sleep(0)

    async def on_revoked(self, revoked: set[Any]) -> None:
        """Take a checkpoint, then forget the states: the next owner restores them from the table."""
        self._revocations += 1
        if any(tp in self._states for tp in revoked):
            await self.checkpoint()
        for tp in revoked:
            self._states.pop(tp, None)
            self._unacked.pop(tp, None)
