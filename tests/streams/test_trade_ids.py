"""Which trades are new and which are missing, against a plain set of all ids."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from streams.trade_ids import TradeIds

IDS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 4)), max_size=60)


def counted(ids: TradeIds, first: int, last: int) -> bool:
    """As `Trades.on_trade` does: the number that is due is only counted up."""
    if first == last == ids.next:
        ids.next += 1
        return True
    return ids.add(first, last)[0]


@given(IDS)
def test_a_number_is_new_once(steps: list[tuple[int, int]]) -> None:
    """In any order, with any repetition, over checkpoints: a range is new exactly if its last number is."""
    ids, seen = TradeIds(), set[int]()
    for number, (last, count) in enumerate(steps):
        first = max(last - count + 1, 0)
        assert counted(ids, first, last) == (last not in seen)
        if last not in seen:
            seen |= set(range(first, last + 1))
        if number % 7 == 0:
            restored = TradeIds()
            restored.load(orjson.loads(orjson.dumps(ids.dump())))
            ids = restored
    for number in range(62):
        assert ids.lack((number, number)) == (number not in seen)


@given(st.sets(st.integers(0, 40), min_size=1))
def test_holes_are_what_is_missing(present: set[int]) -> None:
    """In order, each jump names exactly the numbers between."""
    ids, missing = TradeIds(), set[int]()
    for number in sorted(present):
        if number == ids.next:
            ids.next += 1
        elif (found := ids.add(number, number)[1]) is not None:
            missing.update(range(found[0], found[1] + 1))
    assert missing == set(range(min(present), max(present))) - present


def test_ids_that_begin_anew_are_no_hole() -> None:
    """A leap that nobody can have missed opens no gap, in either direction, and what comes after it is followed."""
    ids = TradeIds()
    assert ids.add(1000, 1000) == (True, None)
    assert ids.add(9 * 10**18, 9 * 10**18) == (True, None)  # one bad frame
    assert ids.add(1001, 1001) == (True, None)
    assert ids.add(1003, 1003) == (True, (1002, 1002))
    assert ids.add(5, 5) == (True, None)
    assert [ids.add(number, number)[0] for number in (1000, 1001, 1003, 5)] == [False] * 4


def test_ids_without_an_order_are_remembered_for_minutes() -> None:
    """Such an id is new once within two minutes, and memory is bounded however many come."""
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
    """Numbers that never follow one another cost a bounded memory."""
    ids = TradeIds()
    for number in range(0, 20_000, 2):
        ids.add(number, number)
    assert len(orjson.dumps(ids.dump())) < 30_000
    assert not ids.add(19_998, 19_998)[0]
