"""Lines on their way to the broker: in order per partition, within a bound, losses marked where they happened."""

from collections import deque
from typing import NamedTuple

from schemas.limits import MAX_RECORD
from schemas.markers import Lost, Markers, Tick
from schemas.raw import encode_line, encode_marker

_OVERHEAD = 50  # bytes that a line costs beyond its own
_RESUME = 0.9  # of the bound: room enough not to stop again at once
_MARKERS = 1.25  # of the bound: past it markers are dropped as well, as they gather while connections come and go


class Record(NamedTuple):
    """One raw record: its value, the first line's receipt time (ms), and what it costs the buffer."""

    value: bytes
    timestamp_ms: int
    cost: int


class Slot:
    """The waiting lines of one partition of one topic."""

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
    """All slots' lines and what is in flight. Past `limit` bytes frames are dropped until a tenth is free again.

    Each instrument that lost frames gets one `lost` marker before its next line. Markers are few and kept for longer,
    but for ticks: `add_frame` and `add_marker` answer whether the line was taken.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self.dropping = False
        self.dropped = 0  # frames, in all
        self._losses: dict[str, _Loss] = {}

    def add_frame(self, slot: Slot, stamp: int, key: str, frame: bytes) -> bool:
        line = encode_line(stamp, key, frame)
        if self.dropping or self.size + len(line) + _OVERHEAD > self.limit:
            self._drop(slot, stamp, key)
            return False
        self.size += len(line) + _OVERHEAD
        slot.lines.append(line)
        return True

    def add_marker(self, slot: Slot, stamp: int, key: str, marker: Markers) -> bool:
        if self.dropping:
            if isinstance(marker, Tick):
                return False
            if self.size > self.limit * _MARKERS:
                self._drop(slot, stamp, key)
                return False
            self._tell_loss(key)
        self._append(slot, encode_marker(stamp, key, marker))
        return True

    def take(self, slot: Slot) -> Record | None:
        """The next record of a slot, or nothing. Its bytes count until it is settled."""
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

    def settle(self, record: Record) -> None:
        """The broker has it: room again."""
        self.size -= record.cost
        if self.dropping and self.size <= self.limit * _RESUME:
            self.dropping = False
            for key in list(self._losses):
                self._tell_loss(key)

    def _append(self, slot: Slot, line: bytes) -> None:
        self.size += len(line) + _OVERHEAD
        slot.lines.append(line)

    def _drop(self, slot: Slot, stamp: int, key: str) -> None:
        self.dropping = True
        self.dropped += 1
        loss = self._losses.setdefault(key, _Loss(slot))
        loss.frames += 1
        loss.stamp = stamp

    def _tell_loss(self, key: str) -> None:
        if loss := self._losses.pop(key, None):
            reason = "the broker was away for longer than the buffer lasts"
            self._append(loss.slot, encode_marker(loss.stamp, key, Lost(frames=loss.frames, reason=reason)))
