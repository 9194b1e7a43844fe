"""Checkpoint, then acknowledge: state kept in memory, made safe in a Faust table before its input is acknowledged.

Per source partition: (1) what changed is encoded, entry by entry, each as of the last record processed, while others
go on; (2) the publishers drain; (3) the table is written; (4) the records from before (1) are acknowledged. Faust
flushes its producer before it commits offsets (`Consumer._commit_offsets`), so a committed offset is never ahead of the
table or the output. After a crash the table is restored, and what is read again is skipped up to the offset that each
entry covers.
"""

import asyncio
import time
import weakref
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from typing import Any, Generic, Protocol, TypeVar

import structlog
from faust.streams import _current_event

from streams.publisher import Publishers

log = structlog.get_logger(__name__)


class PartitionState(Protocol):
    """State of one source partition, made of keyed entries."""

    def take_changed(self) -> list[str]:
        """Keys of the entries that something reached since the last call."""

    def dump(self, key: str) -> bytes:
        """One entry as it is now; it covers all records so far."""

    def load(self, key: str, dump: bytes) -> None: ...


_PART = 8  # entries that are encoded or written without a pause: some milliseconds
_SHARE = 0.02  # of the time that checkpoints may take; what they cause in the producer takes twice as much again
_LONGEST = 30.0  # s until the next one all the same

S = TypeVar("S", bound=PartitionState)
T = TypeVar("T")


class Checkpointed(Generic[S]):
    """The states of the assigned partitions of one agent.

    `create(tp)` makes an empty state; `owner(key)` names the (topic, partition) that a table entry belongs to.
    """

    def __init__(
        self,
        app: Any,
        table: Any,
        publishers: Callable[[], Publishers],
        create: Callable[[Any], S],
        owner: Callable[[str], tuple[str, int]],
    ) -> None:
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

    async def state(self, tp: Any) -> S:
        """The partition's state; restored from the table at the partition's first record."""
        while tp not in self._states:
            revocations, state = self._revocations, await self._restored(tp)
            if revocations == self._revocations:  # else it may have been another's meanwhile
                self._states[tp] = state
        return self._states[tp]

    async def _restored(self, tp: Any) -> S:
        state = self._create(tp)
        stored = [(key.decode(), dump) for key, dump in self._table.items()]
        entries = [(key, dump) for key, dump in stored if self._owner(key) == (tp.topic, tp.partition)]
        async for part in self._in_parts(entries):
            for key, dump in part:
                state.load(key, dump)
        log.info("state restored", topic=tp.topic, partition=tp.partition, entries=len(entries))
        return state

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
            began = self._spent
            changed = {tp: (self._unacked.pop(tp), self._states[tp].take_changed()) for tp in list(self._unacked)}
            if not changed:
                return
            dumps = [(tp, events, await self._dump(tp, keys)) for tp, (events, keys) in changed.items()]
            await self._publishers().drain()
            for tp, events, entries in dumps:
                if tp in self._states and tp in self._app.consumer.assignment():
                    await self._write(events, entries)
            self._next = time.monotonic() + min((self._spent - began) / _SHARE, _LONGEST)

    async def _dump(self, tp: Any, keys: list[str]) -> list[tuple[str, bytes]]:
        entries = []
        async for part in self._in_parts(keys):
            entries += [(key, self._states[tp].dump(key)) for key in part]
        return entries

    async def _write(self, events: list[Any], entries: list[tuple[str, bytes]]) -> None:
        async for part in self._in_parts(entries):
            # A Faust table sends a write to the changelog partition of the *current* event, and refuses one without;
            # a timer has none, so the partition's last record is made current (Faust keeps it as a weak reference).
            token = _current_event.set(weakref.ref(events[-1]))
            try:
                for key, dump in part:
                    self._table[key.encode()] = dump
            finally:
                _current_event.reset(token)
        for event in events:
            event.ack()

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
