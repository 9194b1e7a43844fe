"""Figures of options: put-call parity, differences against the greeks, and books about the mark price."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest

from marketprism.simulator.market.intervals import DAY_MS, HOUR_MS
from marketprism.simulator.market.listings import OPTIONS, Listing
from marketprism.simulator.market.options import Option, _BlackScholes
from marketprism.simulator.market.prices import Market
from tests.simulator.market.figures import START_MS, listing_of

CALL = listing_of("deribit", "BTC-USD-270625-90000-C")


def stepped(listing: Listing, steps: int, seed: int = 1) -> Option:
    market = Market(seed)
    option = Option(listing, market, seed, START_MS)
    for _ in range(steps):
        market.step()
    return option


def test_formula() -> None:
    """A textbook value: 100 at 20 % for a year at the money is worth 7.9656, with a delta of 0.5398."""
    call, put = (_BlackScholes(100.0, 100.0, 0.2, 1.0, sign) for sign in (1, -1))
    assert call.coins * 100 == pytest.approx(7.9656, abs=1e-4)
    assert call.delta == pytest.approx(0.5398, abs=1e-4)
    assert put.delta == pytest.approx(-0.4602, abs=1e-4)
    assert put.coins == pytest.approx(call.coins)


@pytest.mark.parametrize("sign", [1, -1])
def test_greeks_are_derivatives(sign: int) -> None:
    """Each greek is about the difference quotient of the value."""

    def value(price: float = 86_750.0, volatility: float = 0.55, years: float = 0.6) -> float:
        return _BlackScholes(price, 90_000.0, volatility, years, sign).coins * price

    at = _BlackScholes(86_750.0, 90_000.0, 0.55, 0.6, sign)
    assert at.delta == pytest.approx((value(86_751.0) - value(86_749.0)) / 2, rel=1e-5)
    assert at.gamma == pytest.approx((value(86_760.0) - 2 * value() + value(86_740.0)) / 100, rel=1e-3)
    assert at.vega == pytest.approx((value(volatility=0.56) - value(volatility=0.54)) / 2, rel=1e-3)
    assert at.theta == pytest.approx(value(years=0.6 - 1 / 365) - value(), rel=1e-2)
    assert (at.rho > 0) == (sign > 0)


@pytest.mark.parametrize("listing", OPTIONS)
def test_figures_of_listed_options(listing: Listing) -> None:
    """They are repeatable, change slowly, and have the digits that they are said to have."""
    options = [stepped(listing, steps) for steps in (0, 400, 800, 1200)]
    assert [each.mark for each in options] == [stepped(listing, steps).mark for steps in (0, 400, 800, 1200)]
    assert options[1].mark != stepped(listing, 400, seed=2).mark
    assert all(abs(new.mark / old.mark - 1) < Decimal("0.005") for old, new in pairwise(options))
    for option in options:
        assert Decimal("0.05") < option.mark < Decimal("0.25")
        assert 40 < option.bid_iv < option.mark_iv < option.ask_iv < 75
        assert (option.mark.as_tuple().exponent, option.mark_iv.as_tuple().exponent) == (-6, -2)
        assert option.underlying_price.as_tuple().exponent == -2
        is_call = listing.symbol.endswith("-C")
        assert (option.greeks.delta > 0) == (option.greeks.rho > 0) == is_call
        assert option.greeks.theta < 0 < option.greeks.gamma
        assert abs(option.coin_greeks.delta - (option.greeks.delta - option.mark)) < Decimal("1e-6")
        assert option.coin_greeks.vega == pytest.approx(
            option.greeks.vega / option.underlying_price, abs=Decimal("1e-9")
        )


def test_call_and_put_have_parity() -> None:
    """At one strike and expiry, call less put is the forward: 1 - strike / price, in coins."""
    call, put = stepped(CALL, 500), stepped(replace(CALL, symbol="BTC-USD-270625-90000-P"), 500)
    assert call.mark_iv == put.mark_iv
    assert call.mark - put.mark == pytest.approx(1 - 90_000 / call.underlying_price, abs=Decimal("2e-6"))
    assert call.greeks.delta - put.greeks.delta == pytest.approx(1, abs=Decimal("1e-9"))


def test_expiry() -> None:
    """An option expires at 08:00 UTC; later its figures are those of an hour before."""
    assert stepped(CALL, 0).expiry_ms == 1_813_910_400_000
    late, due = (Option(CALL, Market(1), 1, 1_813_910_400_000 + shift) for shift in (DAY_MS, -HOUR_MS))
    assert late.mark == due.mark == 0
    assert late.greeks == due.greeks
