"""What is missing is found between what is stored, and asked for in pages."""

from hypothesis import given
from hypothesis import strategies as st

from marketprism.backfill.holes import Span, holes, pages, within


def test_holes_of_regular_rows() -> None:
    """Rows every 10: holes are before the first, between two, and after the last."""
    assert holes(Span(100, 200), [], 10, 10) == [Span(100, 200)]
    assert holes(Span(100, 200), range(100, 200, 10), 10, 10) == []
    assert holes(Span(100, 200), [120, 130, 160, 180], 10, 10) == [
        Span(100, 120), Span(140, 160), Span(170, 180), Span(190, 200)
    ]  # fmt: skip
    assert holes(Span(100, 191), range(100, 200, 10), 10, 10) == []  # candles: the last begins at 190


def test_holes_of_irregular_rows() -> None:
    """Payments are 1 to 8 hours apart: only a longer distance is a hole, which begins after the least one."""
    assert holes(Span(0, 24), [0, 8, 16], 1, 8) == []
    assert holes(Span(0, 24), [0, 16], 1, 8) == [Span(1, 16)]


def test_pages() -> None:
    """A page covers as many holes as fit into it, and begins at a hole."""
    assert list(pages([Span(0, 25)], 10)) == [Span(0, 10), Span(10, 20), Span(20, 25)]
    assert list(pages([Span(0, 2), Span(4, 6), Span(50, 60)], 10)) == [Span(0, 6), Span(50, 60)]
    assert list(pages([Span(0, 2), Span(8, 15)], 10)) == [Span(0, 10), Span(10, 15)]
    assert list(pages([], 10)) == []


@given(st.sets(st.integers(0, 99)), st.integers(1, 30))
def test_every_missing_row_is_asked_for_once(stored: set[int], longest: int) -> None:
    """Each missing row is in exactly one page, and no page is without one."""
    known = sorted(stored)
    found = list(pages(holes(Span(0, 100), known, 1, 1), longest))
    asked = [time for page in found for time in range(page.begin, page.end)]
    assert len(asked) == len(set(asked))
    assert set(range(100)) - stored <= set(asked)
    for page in found:
        assert 0 < page.end - page.begin <= longest
        assert len(within(known, page)) < page.end - page.begin
