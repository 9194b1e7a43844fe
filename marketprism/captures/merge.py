"""Merge several captures by receipt time, without duplicate lines."""

import heapq
from collections import OrderedDict
from collections.abc import Iterator, Sequence

from marketprism.captures.capture import Capture
from schemas.raw import RawLine

_REMEMBERED = 16_384  # lines; enough to recognise duplicates even if times are somewhat out of order


class CaptureMerge:
    """Merged lines of several captures; iterate once. `repeated` counts the duplicates that were left out.

    Overlapping recordings of one ingest contain lines of equal time, instrument and frame. Recordings of two ingests
    differ in time, so their duplicates are not recognised.
    """

    def __init__(self, captures: Sequence[Capture]) -> None:
        self.repeated = 0
        self._captures = captures

    def __iter__(self) -> Iterator[RawLine]:
        if len(self._captures) == 1:
            return self._captures[0].lines()
        return self._merged()

    def _merged(self) -> Iterator[RawLine]:
        recent: OrderedDict[int, int] = OrderedDict()  # number of the capture by the line's hash
        for line, number in heapq.merge(*map(_numbered, self._captures, range(len(self._captures))), key=_time):
            identity = hash((line.local_timestamp, line.key, line.frame))
            if recent.setdefault(identity, number) != number:
                self.repeated += 1
                continue
            if len(recent) > _REMEMBERED:
                recent.popitem(last=False)
            yield line


def _numbered(capture: Capture, number: int) -> Iterator[tuple[RawLine, int]]:
    return ((line, number) for line in capture.lines())


def _time(numbered: tuple[RawLine, int]) -> int:
    return numbered[0].local_timestamp
