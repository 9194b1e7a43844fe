"""Merge the lines of several partitions by receipt time and keep the order within each partition."""

import heapq
from collections.abc import Iterable, Iterator
from itertools import count

_NEVER = 1 << 63  # ns


class LineMerger:
    """Merger that releases a line once every partition has reached its time. Ticks advance quiet partitions."""

    def __init__(self, partitions: Iterable[object]) -> None:
        self._reached = dict.fromkeys(partitions, 0)
        self._waiting: list[tuple[int, int, bytes]] = []
        self._numbers = count()

    def add(self, partition: object, value: bytes) -> None:
        """Add the lines of a raw record of one partition."""
        reached = self._reached[partition]
        for line in value.split(b"\n")[:-1]:
            # A line with an earlier time than its predecessor (from another connection) still follows it.
            reached = max(reached, int(line[: line.index(b"\t")]))
            heapq.heappush(self._waiting, (reached, next(self._numbers), line + b"\n"))
        self._reached[partition] = reached

    @property
    def last(self) -> object:
        """The partition that the others wait for."""
        return min(self._reached, key=self._reached.__getitem__)

    def finish(self, partition: object) -> None:
        """Wait no longer for a partition: it has no more lines."""
        self._reached[partition] = _NEVER

    def ready(self, at_least: int = 0) -> Iterator[bytes]:
        """Yield the lines that can be released. Do not wait for partitions that are behind `at_least`, ns."""
        until = max(min(self._reached.values()), at_least)
        while self._waiting and self._waiting[0][0] <= until:
            yield heapq.heappop(self._waiting)[2]

    def rest(self) -> Iterator[bytes]:
        """Yield all remaining lines, in order."""
        while self._waiting:
            yield heapq.heappop(self._waiting)[2]
