"""Buffer of lines waiting for the broker: ordered within a partition, bounded, with losses marked in place."""

from collections import deque
from typing import NamedTuple

from schemas.limits import MAX_RECORD
from schemas.markers import Lost, Markers, Tick
from schemas.raw import encode_line, encode_marker

_OVERHEAD = 50  # bytes of memory that a line takes beyond its own
_RESUME = 0.9  # of the limit: below it frames are buffered again, with space enough not to stop at once
_MARKERS = 1.25  # of the limit: above it markers are dropped too, as every reconnect adds some


class Record(NamedTuple):
    """One raw record: its value, its first line's receipt time (ms), and its cost in bytes of the buffer."""

    value: bytes
    timestamp_ms: int
    cost: int


class Slot:
    """Waiting lines of one partition of one topic."""

    __slots__ = ("lines", "partition", "topic")

    def __init__(self, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.lines: deque[bytes] = deque()


class _Loss:
    __slots__ = ("frames", "slot", "stamp")

    def __init__(self, slot: Slot) -> None:
        self.slot, self.frames, self.stamp = slot, 0, 0


class RawBuffer:
    """Buffer of all slots, including what is in flight. Above `limit` bytes frames are dropped until 10 % are free.

    An instrument that lost frames gets one `lost` marker before its next line. Markers are few and are buffered beyond
    the limit, except for ticks; far beyond it they are dropped too, and count as lost frames. `add_frame` and
    `add_marker` return whether the line was buffered.
    `dropped`: total number of lost frames.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self.dropping = False
        self.dropped = 0
        self._losses: dict[str, _Loss] = {}

    def add_frame(self, slot: Slot, stamp: int, key: str, frame: bytes) -> bool:
        """Add a frame. `stamp`: receipt time, ns since the epoch."""
        line = encode_line(stamp, key, frame)
        if self.dropping or self.size + len(line) + _OVERHEAD > self.limit:
            self._drop(slot, stamp, key)
            return False
        self.size += len(line) + _OVERHEAD
        slot.lines.append(line)
        return True

    def add_marker(self, slot: Slot, stamp: int, key: str, marker: Markers) -> bool:
        """Add a marker. `stamp`: ns since the epoch."""
        if self.dropping:
            if isinstance(marker, Tick):
                return False
            if self.size > self.limit * _MARKERS:
                self._drop(slot, stamp, key)
                return False
            self._mark_loss(key)
        self._append(slot, encode_marker(stamp, key, marker))
        return True

    def take(self, slot: Slot) -> Record | None:
        """Remove and return the next record of a slot, if any. It counts towards the size until it is released."""
        lines = slot.lines
        if not lines:
            return None
        taken = [lines.popleft()]
        size = len(taken[0])
        while lines and size + len(lines[0]) <= MAX_RECORD:
            size += len(lines[0])
            taken.append(lines.popleft())
        stamp = int(taken[0][: taken[0].index(b"\t")])
        return Record(b"".join(taken), stamp // 1_000_000, size + len(taken) * _OVERHEAD)

    def release(self, record: Record) -> None:
        """Free the space of a record that the broker has acknowledged."""
        self.size -= record.cost
        if self.dropping and self.size <= self.limit * _RESUME:
            self.dropping = False
            for key in list(self._losses):
                self._mark_loss(key)

    def _append(self, slot: Slot, line: bytes) -> None:
        self.size += len(line) + _OVERHEAD
        slot.lines.append(line)

    def _drop(self, slot: Slot, stamp: int, key: str) -> None:
        self.dropping = True
        self.dropped += 1
        loss = self._losses.setdefault(key, _Loss(slot))
        loss.frames += 1
        loss.stamp = stamp

    def _mark_loss(self, key: str) -> None:
        if loss := self._losses.pop(key, None):
            reason = "the broker was unavailable for longer than the buffer lasts"
            self._append(loss.slot, encode_marker(loss.stamp, key, Lost(frames=loss.frames, reason=reason)))
