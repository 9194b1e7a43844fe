"""Open interest and the figures of longs and shorts are repeatable and move."""

from decimal import Decimal

import pytest

from marketprism.simulator.market.intervals import HOUR_MS, MINUTE_MS
from marketprism.simulator.market.listings import LISTINGS, Listing
from marketprism.simulator.market.positions import Positions
from tests.simulator.market.figures import START_MS, listing_of, past_of

DERIVATIVES = [each for each in LISTINGS if each.symbol.count("-") == 2]


def positions_of(listing: Listing, seed: int = 1) -> Positions:
    return Positions(listing, seed, past_of(listing, seed))


@pytest.mark.parametrize("listing", DERIVATIVES)
def test_open_interest(listing: Listing) -> None:
    """It changes every minute, is the same in every run, and its three amounts fit together."""
    positions, price = positions_of(listing), past_of(listing).price
    found = [positions.open_interest(START_MS + minute * MINUTE_MS) for minute in range(120)]
    assert len({each.own for each in found}) == 120
    assert found[0] == positions_of(listing).open_interest(START_MS // MINUTE_MS * MINUTE_MS)
    assert found[0] != positions_of(listing, 2).open_interest(START_MS)
    for minute, each in enumerate(found):
        assert each.own % listing.lot == 0
        ticks = price((START_MS // MINUTE_MS + minute) * MINUTE_MS)
        assert each.base == listing.base_amount(int(each.own / listing.lot), ticks)
        worth = each.own * listing.contract
        assert each.quote == (worth if listing.inverse else worth * listing.price(ticks))


def test_shares_and_taker_volumes() -> None:
    """Shares have 4 decimals and 1 in sum; figures depend on feed, name, scope and period, and on nothing else."""
    okx, htx = listing_of("okx", "BTC-USDT-PERP"), listing_of("htx-linear", "BTC-USDT-PERP")
    positions = positions_of(okx)
    for figure in ("shares", "taker_volumes"):
        ask = getattr(positions, figure)
        found = [ask("BTC", "accounts", START_MS + hour * HOUR_MS) for hour in range(50)]
        assert found == [
            getattr(positions_of(okx), figure)("BTC", "accounts", START_MS + h * HOUR_MS) for h in range(50)
        ]
        assert len(set(found)) > 45
        others = [ask("ETH", "accounts", START_MS), ask("BTC", "positions", START_MS)]
        others += [getattr(positions_of(htx), figure)("BTC", "accounts", START_MS)]
        assert found[0] not in others
        for pair in found:
            assert all(value > 0 and value.as_tuple().exponent == -4 for value in pair)
    assert all(sum(positions.shares("BTC", "x", ms)) == Decimal(1) for ms in range(100))
