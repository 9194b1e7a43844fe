"""Write figures in few characters."""

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketprism.local.view.formats import bps, count, duration, money, prices, size


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"), (7, "7"), (999, "999"), (999.6, "1.0k"), (1000, "1.0k"), (1234, "1.2k"), (999_949, "999.9k"),
        (999_950, "1.0M"), (3_400_000, "3.4M"), (2_147_483_648, "2.1G"), (7e12, "7000.0G"),
    ],
)  # fmt: skip
def test_counts(number: float, text: str) -> None:
    """Counts have at most one decimal, and a unit from a thousand on."""
    assert count(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"), (0, "0 s"), (0.0004, "0 ms"), (0.35, "350 ms"), (0.9996, "1.0 s"), (1.54, "1.5 s"), (9.96, "10 s"),
        (119, "119 s"), (120, "2 min"), (7169, "119 min"), (7200, "2 h"), (172_800, "2 d"),
    ],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    """Durations have the largest unit that leaves two digits."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0.0"), (0.01, "<0.1"), (-0.01, ">-0.1"), (12.34, "12.3"), (-1234, "-1.2k")]
)
def test_basis_points(value: float, text: str) -> None:
    """A value that is not 0 does not look like 0."""
    assert bps(value) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0.00"), (1.005, "1.00"), (12_345.678, "12,345.68"), (123_456, "123.5k"), (0.5, "0.5"),
        (0.012345, "0.0123"), (0.000000123, "0.000000123"), (-0.0123, "-0.0123"),
    ],
)  # fmt: skip
def test_money(amount: float, text: str) -> None:
    """Amounts have two decimals, or the digits that a small one needs."""
    assert money(amount) == text


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "0"), (0.0123, "0.0123"), (1.5, "1.5"), (12.345, "12.3"), (999.4, "999"), (1500, "1.5k")]
)
def test_sizes(amount: float, text: str) -> None:
    """Sizes have three digits."""
    assert size(amount) == text


@given(st.lists(st.from_regex(r"(0|[1-9][0-9]{0,9})(\.[0-9]{1,18})?", fullmatch=True), max_size=6))
def test_prices_are_exact(texts: list[str]) -> None:
    """Prices keep every digit, and different prices stay different."""
    shown = prices(texts)
    assert [Decimal(each) for each in shown] == [Decimal(each) for each in texts]
    assert all(re.fullmatch(r"\d+(\.\d+)?", each) for each in shown)


def test_prices_have_the_same_decimals() -> None:
    """Prices of one instrument are aligned, and a missing one stays empty."""
    assert prices(["1.50", "2", "", "3.25"]) == ["1.50", "2.00", "", "3.25"]
    assert prices(["1.0", "20"]) == ["1", "20"]
