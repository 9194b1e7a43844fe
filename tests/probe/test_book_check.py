"""Checks of books: chains of updates, and checksums."""

import pytest

from marketprism.probe.book_check import BookCheck
from streams.normalize.book_sides import levels
from streams.normalize.messages import BookMessage


def update(checksum: int) -> BookMessage:
    return BookMessage("update", 0, 2, 2, 1, levels([["1", "2"]]), levels([]), checksum)


@pytest.mark.parametrize(
    ("book", "sequence", "checksum", "changes"),
    [
        (BookCheck(), "", "", []),
        (BookCheck(is_built=True, has_updates=True), "held", "", []),
        (BookCheck(has_updates=True), "broken", "", ["no book could be built: its updates do not follow its snapshot"]),
    ],
)
def test_books(book: BookCheck, sequence: str, checksum: str, changes: list[str]) -> None:
    """A book that cannot be built is a change; one that only has its snapshot is not."""
    assert (book.sequence, book.checksum, book.changes()) == (sequence, checksum, changes)


def test_broken_chains() -> None:
    """One break may be an incident; several are a rule that does not hold."""
    book = BookCheck(is_built=True, has_updates=True)
    book.breaks["sequence"] = 1
    assert (book.sequence, book.changes()) == ("broken", [])
    book.breaks["quality"] = 1
    assert book.changes() == ["the chain of updates broke 2 times (quality, sequence)"]


@pytest.mark.parametrize(
    ("checksums", "is_built", "checksum"),
    [
        ([0] * 9, True, ""),  # OKX's since 2026
        ([5, 6, 7], True, "held"),
        ([5, 6, 7], False, "broken"),  # none fits the snapshot
        ([5] * 4, True, "held"),
        ([5] * 5, True, "constant"),
    ],
)
def test_checksums(checksums: list[int], is_built: bool, checksum: str) -> None:
    """A checksum that stays the same while the book changes is none."""
    book = BookCheck(is_built=is_built)
    for each in checksums:
        book.on_message(update(each))
    assert book.checksum == checksum
    assert bool(book.changes()) == (checksum in ("broken", "constant"))


def test_wrong_checksums() -> None:
    """The gap's cause tells that a checksum contradicted the book."""
    book = BookCheck(is_built=True)
    for each in (5, 6):
        book.on_message(update(each))
    book.breaks["checksum"] = 1
    assert (book.sequence, book.checksum) == ("held", "broken")
    assert book.changes() == ["the checksums contradict the book"]
