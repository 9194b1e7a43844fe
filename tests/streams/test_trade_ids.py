"""New and missing trades are detected as by a plain set of all ids."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from streams.trade_ids import TradeIds

IDS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 4)), max_size=60)


def is_new(ids: TradeIds, first: int, last: int) -> bool:
    """Take a trade as `TradeHandler.on_trade` does, which only increments the number that is expected next."""
    if first == last == ids.next:
        ids.next += 1
        return True
    return ids.add(first, last)[0]


@given(IDS)
def test_a_number_is_new_once(steps: list[tuple[int, int]]) -> None:
    """In any order, with duplicates and checkpoints, a range is new exactly if its last number is."""
    ids, seen = TradeIds(), set[int]()
    for number, (last, count) in enumerate(steps):
        first = max(last - count + 1, 0)
        assert is_new(ids, first, last) == (last not in seen)
        if last not in seen:
            seen |= set(range(first, last + 1))
        if number % 7 == 0:
            restored = TradeIds()
            restored.load(orjson.loads(orjson.dumps(ids.dump())))
            ids = restored
    for number in range(62):
        assert ids.lack((number, number)) == (number not in seen)


@given(st.sets(st.integers(0, 40), min_size=1))
def test_holes_are_the_missing_numbers(present: set[int]) -> None:
    """In ascending order, each jump reports exactly the numbers in between."""
    ids, missing = TradeIds(), set[int]()
    for number in sorted(present):
        if number == ids.next:
            ids.next += 1
        elif (found := ids.add(number, number)[1]) is not None:
            missing.update(range(found[0], found[1] + 1))
    assert missing == set(range(min(present), max(present))) - present


def test_ids_that_start_over_are_not_a_hole() -> None:
    """A leap of over a million ids opens no gap, in either direction, and the ids after it are tracked."""
    ids = TradeIds()
    assert ids.add(1000, 1000) == (True, None)
    assert ids.add(9 * 10**18, 9 * 10**18) == (True, None)  # one bad frame
    assert ids.add(1001, 1001) == (True, None)
    assert ids.add(1003, 1003) == (True, (1002, 1002))
    assert ids.add(5, 5) == (True, None)
    assert [ids.add(number, number)[0] for number in (1000, 1001, 1003, 5)] == [False] * 4


def test_ids_without_an_order_are_remembered_for_minutes() -> None:
    """Such an id is new once within two minutes, and memory is bounded for any number of them."""
    ids = TradeIds()
    assert ids.add_id("a")
    assert not ids.add_id("a")
    ids.tick(120_000_001)
    assert not ids.add_id("a")
    ids.tick(240_000_002)
    ids.tick(360_000_003)
    assert ids.add_id("a")
    for number in range(100_000):
        ids.add_id(str(number))
    assert len(orjson.dumps(ids.dump())) < 100_000


def test_many_holes_are_bounded() -> None:
    """Memory is bounded for numbers that are never consecutive."""
    ids = TradeIds()
    for number in range(0, 20_000, 2):
        ids.add(number, number)
    assert len(orjson.dumps(ids.dump())) < 30_000
    assert not ids.add(19_998, 19_998)[0]
