"""Sources of events, and their order."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.sources import order_of, split_source

NUMBERS = st.integers(0, 10**12) | st.integers(0, 120)
POSITIONS = st.tuples(NUMBERS, NUMBERS, NUMBERS)


@given(POSITIONS, POSITIONS)
def test_texts_are_in_order_of_their_numbers(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    """The order of two sources is that of their offsets, lines and counts."""
    sources = [":".join(map(str, ("okx", 3, *position))) for position in (first, second)]
    (origin, one), (_, other) = map(order_of, sources)
    assert origin == "okx:3"
    assert (one < other) == (first < second) == (split_source(sources[0])[1] < split_source(sources[1])[1])
    assert (one == other) == (first == second)
