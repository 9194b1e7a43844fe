"""Buffer the book updates that wait for a snapshot, up to a number of bytes."""

from collections import deque
from collections.abc import Iterator
from typing import Any

from schemas.limits import MAX_BUFFERED_BYTES
from streams.levels import json_of
from streams.normalize.book_sides import levels
from streams.normalize.messages import BookMessage

_OVERHEAD = 100  # bytes of an update besides its levels


class UpdateBuffer:
    """Buffer of the latest updates, oldest first. When it is full, it drops the oldest.

    A snapshot too old to be followed by the rest is of no use anyway.
    """

    __slots__ = ("_sizes", "_updates", "dropped", "size")

    def __init__(self) -> None:
        self._updates: deque[BookMessage] = deque()
        self._sizes: deque[int] = deque()
        self.size = 0  # bytes in a checkpoint
        self.dropped = 0  # updates since the buffer was last empty

    def append(self, update: BookMessage) -> None:
        """Add the next update."""
        size = _size(update)
        self._updates.append(update)
        self._sizes.append(size)
        self.size += size
        while self.size > MAX_BUFFERED_BYTES:
            self._updates.popleft()
            self.size -= self._sizes.popleft()
            self.dropped += 1

    def clear(self) -> None:
        """Remove all updates."""
        self._updates.clear()
        self._sizes.clear()
        self.size = self.dropped = 0

    def __iter__(self) -> Iterator[BookMessage]:
        return iter(self._updates)

    def __len__(self) -> int:
        return len(self._updates)

    def dump(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {"dropped": self.dropped, "updates": [_as_list(update) for update in self._updates]}

    def load(self, dump: dict[str, Any]) -> None:
        """Restore the state of a checkpoint."""
        self.clear()
        for kind, timestamp, first, last, previous, bids, asks, checksum in dump["updates"]:
            self.append(BookMessage(kind, timestamp, first, last, previous, levels(bids), levels(asks), checksum))
        self.dropped = dump["dropped"]


def _size(update: BookMessage) -> int:
    sides = update.bids.levels, update.asks.levels
    return _OVERHEAD + sum(sum(map(len, side)) + 6 * len(side) for side in sides)


def _as_list(update: BookMessage) -> list[Any]:
    head = [update.kind, update.timestamp, update.first, update.last, update.previous]
    return [*head, json_of(update.bids.levels), json_of(update.asks.levels), update.checksum]
