"""The continuity rules give the verdicts of the published test vectors (docs/protocols/README.md §11.2)."""

import pytest

from streams.books.continuity import RULES, Verdict, htx_linear
from streams.normalize.book_sides import levels
from streams.normalize.messages import BookMessage

APPLY, DROP, GAP = Verdict.APPLY, Verdict.DROP, Verdict.GAP


def verdicts(feed: str, sequence: int, updates: list[tuple[int, int, int]]) -> list[Verdict]:
    """Return the verdicts on updates of (first, last, previous) ids after a snapshot, as the book applies them."""
    rule, first, found = RULES[feed].judge, True, []
    for update in updates:
        verdict = rule(sequence, BookMessage("update", 0, *update, levels([]), levels([])), first)
        found.append(verdict)
        if verdict is APPLY:
            sequence, first = update[1], False
    return found


@pytest.mark.parametrize(
    ("feed", "sequence", "updates", "expected"),
    [
        ("binance-spot", 100, [(95, 99, -1), (98, 102, -1), (103, 105, -1), (107, 109, -1)], [DROP, APPLY, APPLY, GAP]),
        ("binance-spot", 110, [(120, 125, -1)], [GAP]),
        (
            "binance-usdm",
            100,
            [(90, 95, 89), (96, 101, 95), (104, 110, 101), (112, 115, 111)],
            [DROP, APPLY, APPLY, GAP],
        ),
        ("binance-usdm", 100, [(103, 110, 100)], [APPLY]),
        (
            "okx",
            10,
            [(15, 15, 10), (15, 15, 15), (3, 3, 15), (5, 5, 3), (8, 8, 6)],
            [APPLY, APPLY, APPLY, APPLY, GAP],
        ),
        ("deribit", 500, [(731, 731, 500), (740, 740, 731), (750, 750, 745)], [APPLY, APPLY, GAP]),
        (
            "htx-spot",
            200,
            [(199, 200, 198), (201, 203, 200), (204, 204, 203), (207, 207, 206)],
            [DROP, APPLY, APPLY, GAP],
        ),
        ("htx-linear", 7, [(8, 8, 7), (9, 9, 8), (11, 11, 10)], [APPLY, APPLY, GAP]),
    ],
)
def test_vectors(feed: str, sequence: int, updates: list[tuple[int, int, int]], expected: list[Verdict]) -> None:
    """Each feed's rule gives the documented verdict on each message."""
    assert verdicts(feed, sequence, updates) == expected


@pytest.mark.parametrize("feed", list(RULES))
def test_duplicate_update_is_dropped(feed: str) -> None:
    """An update that arrives twice is applied once."""
    last = 101 if RULES[feed].judge is htx_linear else 105  # its versions are consecutive
    assert verdicts(feed, 100, [(101, last, 100), (101, last, 100)]) == [APPLY, DROP]
