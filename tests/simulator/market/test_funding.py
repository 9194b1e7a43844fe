"""Index prices, mark prices and funding rates of the simulated market."""

from decimal import Decimal
from itertools import pairwise

import pytest

from marketprism.simulator.market.funding import Funding, next_funding_at
from marketprism.simulator.market.listings import LISTINGS, Listing
from marketprism.simulator.market.prices import Market

PERPETUALS = [listing for listing in LISTINGS if listing.symbol.endswith("-PERP")]


def values(listing: Listing, seed: int, seconds: int) -> list[tuple[Decimal, Decimal, Decimal | None]]:
    """Return index, mark and rate after every second."""
    market = Market(seed)
    funding = Funding(listing, market, seed)
    found = []
    for _ in range(seconds):
        for _ in range(100):
            market.step()
        found.append((funding.index, funding.mark, funding.rate))
    return found


def test_same_seed_gives_same_values() -> None:
    """Two runs with one seed have equal values; another seed or instrument has others."""
    perpetual, other = PERPETUALS[:2]
    assert values(perpetual, 7, 5) == values(perpetual, 7, 5)
    assert values(perpetual, 7, 5) != values(perpetual, 8, 5)
    assert values(perpetual, 7, 5) != values(other, 7, 5)


@pytest.mark.parametrize("listing", PERPETUALS)
def test_rates_change_slowly_and_have_both_signs(listing: Listing) -> None:
    """A rate holds for 4 s; the mark price is within 6 bps of the index, on the side of the rate's sign."""
    found = values(listing, 3, 120)
    rates = [rate for _, _, rate in found if rate is not None]
    changes = sum(old != new for old, new in pairwise(rates))
    assert 10 <= changes <= 30
    assert min(rates) < 0 < max(rates)
    for index, mark, rate in found:
        assert abs(mark / index - 1) <= Decimal("0.0006")
        assert rate is not None
        assert rate == 0 or (mark > index) == (rate > 0)
    assert (Decimal(0) in rates) == (listing.feed == "deribit")  # it has a damper


def test_spot_has_no_funding() -> None:
    """A spot instrument's mark price is the index, and it has no rate."""
    [(index, mark, rate)] = values(next(each for each in LISTINGS if each.symbol == "BTC-USDC"), 1, 1)
    assert (mark, rate) == (index, None)


def test_next_funding() -> None:
    """Payments are at 00:00, 08:00 and 16:00 UTC; at such a time the next is 8 h later."""
    assert next_funding_at(1) == next_funding_at(28_799_999) == 28_800_000
    assert next_funding_at(28_800_000) == 57_600_000


@pytest.mark.parametrize("listing", PERPETUALS)
def test_settled_rates(listing: Listing) -> None:
    """Every past payment has a rate, the same in every run, whatever the market has done since; both signs occur."""
    market = Market(1)
    funding = Funding(listing, market, 1)
    times = range(0, 90 * 28_800_000, 28_800_000)
    rates = [funding.settled(each) for each in times]
    market.step()
    assert (
        rates == [funding.settled(each) for each in times] == [Funding(listing, Market(5), 1).settled(t) for t in times]
    )
    assert rates != [Funding(listing, Market(1), 2).settled(each) for each in times]
    found = [rate for rate in rates if rate is not None]
    assert len(found) == 90
    assert min(found) < 0 < max(found)
    assert all(abs(rate) < Decimal("0.0007") and rate.as_tuple().exponent == -8 for rate in found)


def test_only_perpetuals_settle() -> None:
    """Spot and dated futures have no rates."""
    for symbol in ("BTC-USDT", "BTC-USD-261225"):
        listing = next(each for each in LISTINGS if each.symbol == symbol)
        assert Funding(listing, Market(1), 1).settled(0) is None
