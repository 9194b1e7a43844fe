"""An execution takes all levels that pay, and no others."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from streams.arbitrage.execution import execute

levels = st.lists(st.tuples(st.integers(90, 110), st.integers(1, 5)), min_size=1, max_size=5)


@given(levels, levels)
def test_execution_takes_every_unit_that_pays(asks: list[tuple[int, int]], bids: list[tuple[int, int]]) -> None:
    """The profit is the highest over all amounts: neither one unit more nor one less would earn more."""
    sellers = sorted(asks)
    buyers = sorted(bids, reverse=True)
    found = execute([[str(p), str(a)] for p, a in sellers], [[str(p), str(a)] for p, a in buyers], 10.0, 10.0)
    units_sold = [Decimal(price) for price, amount in sellers for _ in range(amount)]
    units_bought = [Decimal(price) for price, amount in buyers for _ in range(amount)]
    gains = [
        bid * Decimal("0.999") - ask * Decimal("1.001") for ask, bid in zip(units_sold, units_bought, strict=False)
    ]
    paying = [gain for gain in gains if gain > 0]
    assert (found is None) == (not paying)
    if found is not None:
        assert found.profit == sum(paying)
        assert found.amount == len(paying)
