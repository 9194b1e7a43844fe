"""Lines of several partitions into one order of receipt, each partition's own order kept."""

import heapq
from collections.abc import Iterable, Iterator
from itertools import count


class LineMerger:
    """A line leaves once every partition has come as far; ticks see to it that quiet ones do."""

    def __init__(self, partitions: Iterable[object]) -> None:
        self._reached = dict.fromkeys(partitions, 0)
        self._waiting: list[tuple[int, int, bytes]] = []
        self._numbers = count()

    def add(self, partition: object, value: bytes) -> None:
        """The lines of a raw record of one partition."""
        reached = self._reached[partition]
        for line in value.split(b"\n")[:-1]:
            # A line that is stamped before its forerunner (of another connection) keeps its place behind it.
            reached = max(reached, int(line[: line.index(b"\t")]))
            heapq.heappush(self._waiting, (reached, next(self._numbers), line + b"\n"))
        self._reached[partition] = reached

    def ready(self, at_least: int = 0) -> Iterator[bytes]:
        """What may leave. `at_least` (ns): do not wait longer for partitions that stay behind this time."""
        until = max(min(self._reached.values()), at_least)
        while self._waiting and self._waiting[0][0] <= until:
            yield heapq.heappop(self._waiting)[2]

    def rest(self) -> Iterator[bytes]:
        """Everything that waits, in order."""
        while self._waiting:
            yield heapq.heappop(self._waiting)[2]
