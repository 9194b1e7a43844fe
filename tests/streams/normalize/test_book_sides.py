"""Sides of books are checked alike, whether they are decoded first or cut from the JSON."""

import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.errors import FrameError
from streams.normalize.book_sides import decoded_sides, levels, number_levels, numeric_levels
from streams.normalize.numbers import exact

_TEXTS = st.one_of(
    st.decimals(0, 10**18, allow_nan=False, places=3).map(str),
    st.sampled_from(["0", "0.000", "-0", "-1", "1e5", "2E-3", "1e400", "nan", "inf", "+1", "", "1.2.3", " 1", "1_0"]),
)
_TOKENS = st.one_of(
    st.decimals(0, 10**18, allow_nan=False, places=3).map(str),
    st.sampled_from(
        ["0", "0.000", "7", "-0", "-0.0", "-1", "1e5", "2E-3", "1e400", '"1.5"', '"nan"', "null", "true", " 8", "[]"]
    ),
)


@example([["1953125000000000.000", "0.000"]], (",", ":"))
@given(
    st.lists(st.lists(_TEXTS | st.sampled_from([1, 0.5, None]), min_size=1, max_size=3), max_size=4),
    st.sampled_from([(",", ":"), (", ", ":"), (" ,\n", ":")]),
)
def test_levels_are_the_same_decoded_or_cut(side: list[list[str]], separators: tuple[str, str]) -> None:
    """Cutting a side of texts from JSON accepts, writes out and rejects the same as checking its decoded lists."""
    text = msgspec.Raw(json.dumps(side, separators=separators).encode())
    try:
        expected = levels(side)
    except (FrameError, ValueError, IndexError, TypeError) as error:
        with pytest.raises(type(error)):
            decoded_sides(text, text)
    else:
        assert decoded_sides(text, text) == (expected, expected)


def test_escaped_digits() -> None:
    """JSON may escape a digit; a level never does."""
    text = msgspec.Raw(rb'[["\u0031.5","\u0032"]]')
    assert decoded_sides(text, text)[0] == levels([["1.5", "2"]])


@example(["1,-0"])
@example(["1953125000000000.000,0.000"])
@given(st.lists(st.lists(_TOKENS, min_size=1, max_size=3).map(",".join), max_size=4))
def test_numbers_are_the_same_decoded_or_cut(side: list[str]) -> None:
    """Cutting a side of JSON numbers accepts, writes out and rejects the same as decoding them one by one."""
    text = b"[%b]" % ",".join(f"[{level}]" for level in side).encode()
    try:
        expected = numeric_levels(exact(text))
    except (FrameError, ValueError, TypeError) as error:
        with pytest.raises(type(error)):
            number_levels(msgspec.Raw(text))
    else:
        assert number_levels(msgspec.Raw(text)) == expected
