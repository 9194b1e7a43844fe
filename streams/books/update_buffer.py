"""The book updates that wait for a snapshot, within a bound of bytes."""

from collections import deque
from collections.abc import Iterator
from typing import Any

from schemas.limits import MAX_BUFFERED_BYTES
from streams.levels import json_of
from streams.normalize.book_sides import levels
from streams.normalize.messages import BookMessage

_HEAD = 100  # bytes that an update costs beyond its levels


class UpdateBuffer:
    """Keeps the latest updates, oldest first. Past the bound the oldest go: a snapshot as old as them is of no use."""

    __slots__ = ("_held", "_sizes", "dropped", "size")

    def __init__(self) -> None:
        self._held: deque[BookMessage] = deque()
        self._sizes: deque[int] = deque()
        self.size = 0  # bytes, as a checkpoint writes them
        self.dropped = 0  # updates since it was last empty

    def append(self, update: BookMessage) -> None:
        size = _size(update)
        self._held.append(update)
        self._sizes.append(size)
        self.size += size
        while self.size > MAX_BUFFERED_BYTES:
            self._held.popleft()
            self.size -= self._sizes.popleft()
            self.dropped += 1

    def clear(self) -> None:
        self._held.clear()
        self._sizes.clear()
        self.size = self.dropped = 0

    def __iter__(self) -> Iterator[BookMessage]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def dump(self) -> list[Any]:
        return [_as_list(held) for held in self._held]

    def load(self, dump: list[Any]) -> None:
        self.clear()
        for kind, timestamp, first, last, previous, bids, asks, checksum in dump:
            self.append(BookMessage(kind, timestamp, first, last, previous, levels(bids), levels(asks), checksum))


def _size(update: BookMessage) -> int:
    sides = update.bids.levels, update.asks.levels
    return _HEAD + sum(sum(map(len, side)) + 6 * len(side) for side in sides)


def _as_list(held: BookMessage) -> list[Any]:
    head = [held.kind, held.timestamp, held.first, held.last, held.previous]
    return [*head, json_of(held.bids.levels), json_of(held.asks.levels), held.checksum]
