"""Find the holes between the times of stored rows, and the pages that fill them. All times are in µs."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """From `begin` to before `end`."""

    begin: int
    end: int


def holes(span: Span, known: Sequence[int], step: int, spacing: int) -> list[Span]:
    """Return where rows may be missing. `known`: the times of those that are stored, in order.

    `step`, `spacing`: the least and the largest distance between two rows.
    """
    found, last = [], span.begin - spacing
    for time in (*known, span.end):
        if time - last > spacing:
            found.append(Span(max(last + step, span.begin), time))
        last = time
    return [hole for hole in found if hole.begin < hole.end]


def pages(found: Iterable[Span], longest: int) -> Iterator[Span]:
    """Yield spans of at most the given length that cover all holes, in order. One may cover several holes."""
    page = Span(0, 0)
    for hole in found:
        at = max(hole.begin, page.end)
        while at < hole.end:
            if page.end and at < page.begin + longest:
                page = Span(page.begin, min(hole.end, page.begin + longest))
            else:
                if page.end:
                    yield page
                page = Span(at, min(hole.end, at + longest))
            at = page.end
    if page.end:
        yield page


def within(known: Sequence[int], span: Span) -> list[int]:
    """Return the times of a sorted sequence that are in a span."""
    return list(known[bisect_left(known, span.begin) : bisect_left(known, span.end)])
