"""Several captures as one, by time of receipt; what two of them hold is taken once."""

import heapq
from collections import OrderedDict
from collections.abc import Iterator, Sequence

from marketprism.captures.capture import Capture
from schemas.raw import RawLine

_REMEMBERED = 16_384  # lines: some disorder of their times does not hide that a line comes again


class CaptureMerge:
    """Iterate once. `repeated` counts lines left out since another capture gave the same one.

    Two recordings of one ingest that overlap hold lines of equal time, instrument and frame. Recordings of two ingests
    differ in time and are not recognised.
    """

    def __init__(self, captures: Sequence[Capture]) -> None:
        self.repeated = 0
        self._captures = captures

    def __iter__(self) -> Iterator[RawLine]:
        if len(self._captures) == 1:
            return self._captures[0].lines()
        return self._merged()

    def _merged(self) -> Iterator[RawLine]:
        recent: OrderedDict[int, int] = OrderedDict()  # by the line's hash, the capture that gave it
        for line, giver in heapq.merge(*map(_given, self._captures, range(len(self._captures))), key=_time):
            identity = hash((line.local_timestamp, line.key, line.frame))
            if recent.setdefault(identity, giver) != giver:
                self.repeated += 1
                continue
            if len(recent) > _REMEMBERED:
                recent.popitem(last=False)
            yield line


def _given(capture: Capture, number: int) -> Iterator[tuple[RawLine, int]]:
    return ((line, number) for line in capture.lines())


def _time(given: tuple[RawLine, int]) -> int:
    return given[0].local_timestamp
