"""Which trades are on the order book."""

import pytest

from schemas.trade_kinds import is_on_book


@pytest.mark.parametrize(
    ("kind", "on_book"),
    [
        ("normal", True),
        ("liquidation", True),
        ("liquidation_both", True),
        ("adl", False),
        ("block", False),
        ("", False),
    ],
)
def test_kinds(kind: str, on_book: bool) -> None:
    """Liquidations of every kind are executed on the book; unknown kinds count as off it."""
    assert is_on_book(kind) is on_book
