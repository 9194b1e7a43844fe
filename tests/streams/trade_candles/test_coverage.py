"""Times in which trades are missing: as exact as possible, and bounded."""

from streams.trade_candles.coverage import Coverage, Hole
from streams.trade_ids import Range


def covered() -> Coverage:
    """Return a coverage from the start of time."""
    coverage = Coverage()
    coverage.resume(-1)
    coverage._holes.clear()
    return coverage


def lack(missing: Range) -> bool:
    return missing[0] % 2 == 0


def test_holes_that_touch_are_one() -> None:
    """In any order, however many they are; those of known trades stay apart, since they may be filled."""
    coverage = covered()
    for start in (*range(0, 2000, 20), *range(10, 2000, 20), 500, 500):
        coverage.add(Hole(start, start + 9))
    assert coverage._holes == [Hole(0, 1999)]
    coverage.add(Hole(100, 200, (1, 1)))
    coverage.add(Hole(2000, 2001, (2, 2)))
    assert len(coverage._holes) == 3


def test_too_many_holes_join_their_closest() -> None:
    """A hole far ahead does not make all the time before it one in which trades are missing."""
    coverage = covered()
    coverage.add(Hole(1_000_000, 1_000_009))
    for number in range(100):
        coverage.add(Hole(number * 100, number * 100 + 9))
    assert len(coverage._holes) == 64
    assert coverage.is_whole(9_910, 1_000_000, lack)
    assert not coverage.is_whole(1_000_005, 1_000_006, lack)
    assert not any(coverage.is_whole(number * 100, number * 100 + 10, lack) for number in range(100))
