"""Which instruments are moved so that a feed's connections carry about the same load."""

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ingest.balance import MOST, balance

RATES = st.lists(st.floats(0, 1000), min_size=1, max_size=40)


def placed(loads: list[dict[str, float]], places: dict[str, int]) -> list[dict[str, float]]:
    """Return the loads after the moves."""
    after: list[dict[str, float]] = [{} for _ in loads]
    for number, group in enumerate(loads):
        for name, rate in group.items():
            after[places.get(name, number)][name] = rate
    return after


def busiest(loads: list[dict[str, float]]) -> float:
    """Return the load of the busiest connection, as a multiple of the mean."""
    sums = [sum(group.values()) for group in loads]
    return max(sums) * len(sums) / sum(sums)


def test_three_hundred_instruments() -> None:
    """The busiest of six full connections carries at most 1.3 times the mean after some rounds."""
    random = Random(1)
    loads = [
        {f"{group}-{number}": random.paretovariate(1.2) * (6 - group) ** 2 for number in range(50)}
        for group in range(6)
    ]
    assert busiest(loads) > 2
    rounds = 0
    while places := balance(loads, 50):
        loads, rounds = placed(loads, places), rounds + 1
        assert all(len(group) == 50 for group in loads)
    assert busiest(loads) <= 1.3
    assert rounds < 12


@given(st.lists(RATES, min_size=1, max_size=6), st.integers(40, 60))
def test_never_worse(rates: list[list[float]], size: int) -> None:
    """Nothing is lost, no connection holds more than its size, and the busiest is not busier than before."""
    loads = [{f"{group}-{number}": rate for number, rate in enumerate(each)} for group, each in enumerate(rates)]
    after = placed(loads, balance(loads, size))
    assert Counter(name for group in after for name in group) == Counter(name for group in loads for name in group)
    assert all(len(group) <= size for group in after)
    if any(rate for each in rates for rate in each):
        assert busiest(after) <= busiest(loads) * (1 + 1e-9)


def test_nothing_to_gain() -> None:
    """An even load, a single connection, silence, and one instrument that is most of the load are left alone."""
    assert balance([{"a": 5.0, "b": 5.0}, {"c": 9.0}], 10) == {}
    assert balance([{"a": 100.0, "b": 1.0}], 10) == {}
    assert balance([{"a": 0.0}, {"b": 0.0}], 10) == {}
    assert balance([], 10) == {}
    assert balance([{"a": 100.0}, {"b": 1.0}, {}], 10) == {}
    assert MOST < 1.3


def test_a_move_and_a_swap() -> None:
    """A busy instrument moves to an idle connection, which returns its quietest one if it is full."""
    loads = [{"a": 60.0, "b": 40.0}, {"c": 5.0, "d": 1.0}]
    assert balance(loads, 3) == {"b": 1}
    assert balance(loads, 2) == {"b": 1, "d": 0}
