"""About one in 200 trades of a derivative is a liquidation, and one of the first 20."""

import pytest

from marketprism.simulator.market.liquidations import Liquidations
from marketprism.simulator.market.listings import LISTINGS, OPTIONS, Listing
from tests.simulator.market.figures import listing_of

DERIVATIVES = [each for each in (*LISTINGS, *OPTIONS) if each.symbol.count("-") >= 2]
FIRST = 1_000_001


def liquidations(listing: Listing, trades: int, seed: int = 1) -> Liquidations:
    found = Liquidations(listing, seed, FIRST)
    for number in range(trades):
        found.on_trade(FIRST + number, 867_500 + number, 5, "sell" if number % 2 else "buy", number)
    return found


@pytest.mark.parametrize("listing", DERIVATIVES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_derivative_has_one_soon(listing: Listing, seed: int) -> None:
    """One of the first 20 trades is a liquidation; the ids decide, so that a second run has the same."""
    recent = liquidations(listing, 20, seed).recent
    assert len(recent) >= 1
    assert recent == liquidations(listing, 20, seed).recent


def test_share_and_prices() -> None:
    """About one trade in 200; the order's price is 2 to 12 bps worse for its owner than the trade's."""
    listing = listing_of("okx", "BTC-USDT-PERP")
    ids = [number for number in range(FIRST, FIRST + 20_000) if liquidations(listing, 0).is_liquidation(number)]
    assert 70 < len(ids) < 130
    found = liquidations(listing, 20_000).recent
    assert len(found) == min(100, len(ids))
    assert [each.trade_id for each in found] == ids[-100:]
    for each in found:
        assert (each.average, each.lots) == (867_500 + each.trade_id - FIRST, 5)
        assert each.at_ms == each.trade_id - FIRST
        worse = (each.average - each.price if each.side == "sell" else each.price - each.average) / each.average
        assert 0.000199 < worse < 0.001201
    assert {each.side for each in found} == {"buy", "sell"}


def test_worse_by_a_tick_at_least() -> None:
    """Of a price of few ticks, as that of an option, some bps are less than a tick."""
    found = Liquidations(OPTIONS[0], 1, FIRST)
    for number in range(20):
        found.on_trade(FIRST + number, 900, 1, "sell", 0)
    assert {each.price for each in found.recent} <= {899}


def test_spot_has_none() -> None:
    """Spot trades liquidate nothing."""
    assert not liquidations(listing_of("okx", "BTC-USDT"), 2_000).recent
