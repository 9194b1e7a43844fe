"""The book structure equals a plain dictionary."""

from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.books.book import Book
from streams.normalize.book_sides import levels

prices = st.integers(1, 40).map(lambda ticks: f"{100 + ticks / 10:.1f}")
amounts = st.sampled_from(["0", "0.000", "1", "2.5", "0.00000001"])
sides = st.lists(st.tuples(prices, amounts).map(list), max_size=8)


@pytest.mark.parametrize(("kept", "most"), [(64, 192), (2, 5)])  # sort all of such a book, or its top
@given(sides, sides, st.lists(st.tuples(sides, sides), max_size=20))
def test_equals_a_sorted_dictionary(
    kept: int,
    most: int,
    bids: list[list[str]],
    asks: list[list[str]],
    updates: list[tuple[list[list[str]], list[list[str]]]],
) -> None:
    """After any updates the levels are those of a sorted dictionary, without zero amounts."""
    book = Book()
    truth: tuple[dict[str, str], dict[str, str]] = ({}, {})
    with patch("streams.books.book._KEPT", kept), patch("streams.books.book._MOST", most):
        book.replace(levels(bids), levels(asks))
        for change in [(bids, asks), *updates]:
            for known, changed in zip(truth, change, strict=True):
                known.update(dict(changed))
            book.bids.update(levels(change[0]))
            book.asks.update(levels(change[1]))
            for side, known, reverse in ((book.bids, truth[0], True), (book.asks, truth[1], False)):
                expected = [[price, amount] for price, amount in known.items() if float(amount)]
                expected.sort(key=lambda level: float(level[0]), reverse=reverse)
                whole = levels(expected).levels
                assert [side.top(count) for count in (1, 3, 9)] == [whole[:count] for count in (1, 3, 9)]
                assert side.all() == whole


def test_checksum_of_two_and_two() -> None:
    """OKX's documented example with two bids and two asks gives the documented checksum."""
    book = Book()
    book.replace(levels([["3366.1", "7"], ["3366", "6"]]), levels([["3366.8", "9"], ["3368", "8"]]))
    assert book.checksum() == -1881014294


def test_checksum_of_one_and_three() -> None:
    """OKX's documented example with a short side gives the documented checksum: missing entries are skipped."""
    book = Book()
    book.replace(levels([["3366.1", "7"]]), levels([["3366.8", "9"], ["3368", "8"], ["3372", "8"]]))
    assert book.checksum() == 831078360


def test_crossed() -> None:
    """A book is crossed by a bid at the ask, not by an empty side."""
    book = Book()
    book.replace(levels([["10", "1"]]), levels([]))
    assert not book.crossed()
    book.asks.update(levels([["10.0", "1"]]))
    assert book.crossed()
