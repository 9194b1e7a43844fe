"""Checkpoint, then acknowledge: state kept in memory, made safe in a Faust table before its input is acknowledged.

Per source partition: (1) what changed is encoded, entry by entry, each as of the last record processed, while others
go on; (2) the publishers drain; (3) the entries go to the table's changelog and are acknowledged by the broker; (4) the
records from before (1) are acknowledged. So a committed offset is never ahead of the table or the output. After a crash
the table is restored, and what is read again is skipped up to the offset that each entry covers.

The entries go through our own publishers: Faust's table sends each by a buffer whose flush gives up after 0.1 s without
an acknowledgement (`ProducerBuffer.flush_atmost`), and an entry that the producer refuses ends that buffer's task.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from typing import Any, Generic, Protocol, TypeVar

import structlog

from schemas.settings import Settings
from streams.poison import Failures
from streams.publisher import Publishers

log = structlog.get_logger(__name__)


class PartitionState(Protocol):
    """State of one source partition, made of keyed entries."""

    def take_changed(self) -> list[str]:
        """Keys of the entries that something reached since the last call."""

    def take_gone(self) -> list[str]:
        """Keys of the entries that are not needed any more, since the last call."""

    def dump(self, key: str) -> bytes:
        """One entry as it is now, of bounded size; it covers all records so far."""

    def load(self, key: str, dump: bytes) -> None: ...


_PART = 8  # entries that are encoded or written without a pause: some milliseconds
_SHARE = 0.02  # of the time that checkpoints may take; what they cause in the producer takes twice as much again
_LONGEST = 30.0  # s until the next one all the same
_GONE = b""  # the value of an entry that is not needed any more

S = TypeVar("S", bound=PartitionState)
T = TypeVar("T")


class Checkpointed(Generic[S]):
    """The states of the assigned partitions of one agent.

    `create(tp)` makes an empty state; `owner(key)` names the (topic, partition) that a table entry belongs to.
    `failures`: the records on which workers died, kept in the same table.
    """

    def __init__(
        self,
        app: Any,
        table: Any,
        publishers: Callable[[], Publishers],
        create: Callable[[Any], S],
        owner: Callable[[str], tuple[str, int]],
        settings: Settings,
    ) -> None:
        self.failures = Failures(settings.poison_attempts, self._save_failure)
        self._app = app
        self._table = table
        self._publishers = publishers
        self._create = create
        self._owner = owner
        self._states: dict[Any, S] = {}
        self._revocations = 0
        self._unacked: defaultdict[Any, list[Any]] = defaultdict(list)
        self._lock = asyncio.Lock()
        self._spent = 0.0  # s, in all
        self._next = 0.0
        self._halted = False

    def halt(self) -> None:
        """Make no more checkpoints: a record was left half processed, and its state must not be kept."""
        self._halted = True

    @property
    def states(self) -> dict[Any, S]:
        """The states by topic and partition, as far as records came."""
        return self._states

    async def state(self, tp: Any) -> S:
        """The partition's state; restored from the table at the partition's first record."""
        while tp not in self._states:
            revocations, state = self._revocations, await self._restored(tp)
            if revocations == self._revocations:  # else it may have been another's meanwhile
                self._states[tp] = state
        return self._states[tp]

    async def _restored(self, tp: Any) -> S:
        state = self._create(tp)
        stored = [(key.decode(), dump) for key, dump in self._table.items() if dump]
        self.failures.load(tp, dict(stored))
        entries = [(key, dump) for key, dump in stored if self._is_of(key, tp)]
        async for part in self._in_parts(entries):
            for key, dump in part:
                self._load(state, key, dump)
        log.info("state restored", topic=tp.topic, partition=tp.partition, entries=len(entries))
        return state

    def _is_of(self, key: str, tp: Any) -> bool:
        return not Failures.is_key(key) and self._owner(key) == (tp.topic, tp.partition)

    def _load(self, state: S, key: str, dump: bytes) -> None:
        try:
            state.load(key, dump)
        except Exception:  # whatever it is: without this entry all others go on, and its book asks for a snapshot
            log.exception("checkpoint entry cannot be read: starting anew", key=key, bytes=len(dump))

    def processed(self, event: Any) -> None:
        """The state holds this record now; it is acknowledged by the next checkpoint. Its bytes are not needed more."""
        event.value = event.message.value = None
        self._unacked[event.message.tp].append(event)

    async def checkpoint_in_turn(self) -> None:
        """A checkpoint, unless it is too early after one that took long: many books must not cost more and more."""
        if time.monotonic() >= self._next:
            await self.checkpoint()

    async def checkpoint(self) -> None:
        """One checkpoint of every partition that something reached since the last."""
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
        state = self._states[tp]
        entries = [(key, _GONE) for key in state.take_gone()]
        async for part in self._in_parts(keys):
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
        """A few at a time, so that records and heartbeats go on meanwhile; the time that they take is counted."""
        for first in range(0, len(items), _PART):
            began = time.monotonic()
            yield items[first : first + _PART]
            self._spent += time.monotonic() - began
            await asyncio.sleep(0)

    async def on_revoked(self, revoked: set[Any]) -> None:
        """Checkpoint what can be, then forget: the next owner restores from the table."""
        self._revocations += 1
        if any(tp in self._states for tp in revoked):
            await self.checkpoint()
        for tp in revoked:
            self._states.pop(tp, None)
            self._unacked.pop(tp, None)
