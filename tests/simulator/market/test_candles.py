"""Candles and daily statistics are exact: they equal naive sums over all trades."""

from decimal import Context, Decimal, Inexact, localcontext
from fractions import Fraction
from itertools import pairwise
from typing import Literal, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketprism.simulator.market.candles import Candle, Candles
from marketprism.simulator.market.day import Day
from marketprism.simulator.market.intervals import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    SECOND_MS,
    UTC8_MS,
    Interval,
    every,
    months,
)
from marketprism.simulator.market.listings import LISTINGS, Listing
from tests.simulator.market.figures import START_MS, candles_of, listing_of

LINEAR, INVERSE = listing_of("okx", "BTC-USDT-PERP"), listing_of("okx", "BTC-USD-PERP")
NOW = START_MS + 10 * DAY_MS


class Trade(NamedTuple):
    price: int
    lots: int
    side: Literal["buy", "sell"]
    at: int


TRADES = st.lists(
    st.builds(
        Trade,
        st.integers(860_000, 870_000),
        st.integers(1, 10**6),
        st.sampled_from(("buy", "sell")),
        st.integers(START_MS, START_MS + 3 * HOUR_MS),
    ),
    max_size=60,
).map(lambda trades: sorted(trades, key=lambda each: each.at))


def candles_with(listing: Listing, trades: list[Trade], start_ms: int = START_MS) -> Candles:
    candles = candles_of(listing, start_ms=start_ms)
    for trade in trades:
        candles.on_trade(*trade)
    return candles


def volumes(listing: Listing, trades: list[Trade]) -> tuple[Fraction, Fraction, Fraction]:
    """Return own, base and quote amount."""
    lot, tick, contract = map(Fraction, (listing.lot, listing.tick, listing.contract))
    own = sum((each.lots * lot for each in trades), Fraction(0))
    base = sum((Fraction(listing.base_amount(each.lots, each.price)) for each in trades), Fraction(0))
    quote = sum((each.lots * lot * contract * each.price * tick for each in trades), Fraction(0))
    return own, base, own * contract if listing.inverse else quote


def check(candle: Candle, listing: Listing, trades: list[Trade], previous: Decimal) -> None:
    """Compare a candle with the trades of its time."""
    inside = [each for each in trades if candle.start <= each.at < candle.end]
    bought = [each for each in inside if each.side == "buy"]
    prices = [listing.price(each.price) for each in inside] or [previous]
    assert (candle.open, candle.close) == (prices[0], prices[-1])
    assert (candle.high, candle.low) == (max(prices), min(prices))
    assert candle.trades == len(inside)
    found = (candle.volume, candle.base_volume, candle.quote_volume)
    assert tuple(map(Fraction, found)) == volumes(listing, inside)
    found = (candle.taker_buy_volume, candle.taker_buy_base_volume, candle.taker_buy_quote_volume)
    assert tuple(map(Fraction, found)) == volumes(listing, bought)


@settings(max_examples=40)
@given(
    trades=TRADES,
    listing=st.sampled_from((LINEAR, INVERSE)),
    length=st.sampled_from((SECOND_MS, MINUTE_MS, 3 * MINUTE_MS, HOUR_MS, 2 * HOUR_MS)),
)
def test_candles_equal_naive_sums(trades: list[Trade], listing: Listing, length: int) -> None:
    """Of every interval: prices, counts and all volumes are those of the trades; an empty candle is flat."""
    candles = candles_with(listing, trades, start_ms := START_MS // (2 * HOUR_MS) * 2 * HOUR_MS)
    end = trades[-1].at + SECOND_MS if trades else NOW
    history = candles.history(every(length), min(400, (end - start_ms) // length + 1), end, NOW)
    assert all(earlier.end == later.start for earlier, later in pairwise(history))
    for candle in history:
        earlier = [each for each in trades if each.at < candle.start]
        previous = earlier[-1].price if earlier else candles.last_price(start_ms)
        check(candle, listing, trades, listing.price(previous))


def test_memory_is_bounded() -> None:
    """Only the last 3600 seconds with trades are kept; minutes and hours still have all trades."""
    trades = [Trade(860_000 + number % 7, 1, "buy", START_MS + number * SECOND_MS) for number in range(5_000)]
    candles = candles_with(LINEAR, trades)
    start = (START_MS // MINUTE_MS + 1) * MINUTE_MS
    assert candles.between(start, start + SECOND_MS, NOW).trades == 0
    for end in (start + MINUTE_MS, start + 2 * HOUR_MS):
        check(candles.between(start, end, NOW), LINEAR, trades, Decimal(0))


def test_the_running_candle_grows_and_closes() -> None:
    """A candle is open until its end; its trades are those so far, and the trade at its end belongs to the next."""
    candles, minute = candles_of(LINEAR), every(MINUTE_MS)
    start = (START_MS // MINUTE_MS + 1) * MINUTE_MS
    candles.on_trade(867_500, 3, "buy", start)
    candles.on_trade(867_400, 2, "sell", start + 59_999)
    candle = candles.current(minute, start + 59_999)
    assert (candle.open, candle.high, candle.low, candle.close) == tuple(
        map(Decimal, ("86750.0", "86750.0", "86740.0", "86740.0"))
    )
    assert (candle.volume, candle.base_volume, candle.closed) == (Decimal("0.05"), Decimal("0.0005"), False)
    assert candle.quote_volume == Decimal("0.0003") * 86750 + Decimal("0.0002") * 86740
    assert candle.taker_buy_quote_volume == Decimal("0.0003") * 86750
    candles.on_trade(867_300, 1, "sell", start + 60_000)
    done, running = candles.history(minute, 2, start + 60_001, start + 60_000)
    assert (done.trades, done.closed, running.trades, running.closed) == (2, True, 1, False)
    assert candles.history(minute, 1, NOW, start + 60_000) == [running]  # none of the future
    assert candles.between(start, start + 60_000, start + 60_000) == done


@pytest.mark.parametrize("listing", LISTINGS)
def test_history_before_the_start(listing: Listing) -> None:
    """It is the same in every run, valid, and shorter candles add up to longer ones, but for value and base amount."""
    first, second = candles_of(listing, start_ms=START_MS), candles_of(listing, start_ms=START_MS + 7 * DAY_MS)
    before, hour = START_MS // HOUR_MS * HOUR_MS, every(HOUR_MS)
    hours = first.history(hour, 30, before, NOW)
    assert hours == second.history(hour, 30, before, NOW)
    assert hours != candles_of(listing, seed=2).history(hour, 30, before, NOW)
    for candle in hours:
        assert candle.low <= min(candle.open, candle.close) <= max(candle.open, candle.close) <= candle.high
        assert 0 < candle.taker_buy_volume < candle.volume
        assert candle.trades > 0
        assert candle.closed
        assert candle.low <= candle.quote_volume / candle.base_volume <= candle.high or listing.inverse
    minutes = first.history(every(MINUTE_MS), 60, hours[-1].end, NOW)
    assert minutes[0].start == hours[-1].start
    assert sum(each.volume for each in minutes) == hours[-1].volume
    assert sum(each.taker_buy_volume for each in minutes) == hours[-1].taker_buy_volume
    assert sum(each.trades for each in minutes) == hours[-1].trades
    assert (max(each.high for each in minutes), min(each.low for each in minutes)) == (hours[-1].high, hours[-1].low)
    assert all(earlier.close == later.open for earlier, later in pairwise(minutes))
    assert any(each.high > max(each.open, each.close) for each in minutes)


@pytest.mark.parametrize("interval", [every(DAY_MS, UTC8_MS), months(), every(SECOND_MS)])
def test_history_of_any_interval(interval: Interval) -> None:
    """Days of another time zone, months and seconds have a history without holes."""
    found = candles_of(INVERSE).history(interval, 5, START_MS, NOW)
    assert all(earlier.end == later.start for earlier, later in pairwise(found))
    assert all(each.end == interval(each.start)[1] for each in found)


@pytest.mark.parametrize("listing", LISTINGS)
def test_figures_are_exact(listing: Listing) -> None:
    """No sum of a month is rounded."""
    with localcontext(Context(prec=28, traps=[Inexact])):
        candles = candles_of(listing)
        price = candles.last_price(START_MS)
        for number in range(300):
            candles.on_trade(price + number, 10**6 + number, "buy", START_MS + number * SECOND_MS)
        candles.history(months(), 2, START_MS + 400_000, START_MS + 400_000)


def test_the_candle_of_the_start_has_both() -> None:
    """The candle in which the simulation starts has the past's trades and those since."""
    candles = candles_of(LINEAR)
    past = candles.current(every(MINUTE_MS), START_MS)
    candles.on_trade(900_000, 5, "sell", START_MS + 1)
    both = candles.current(every(MINUTE_MS), START_MS + 1)
    assert (both.open, both.high, both.close) == (past.open, Decimal("90000.0"), Decimal("90000.0"))
    assert (both.trades, both.volume) == (past.trades + 1, past.volume + Decimal("0.05"))


def test_day() -> None:
    """The statistics are the candle of the last 24 hours; they follow trades and time."""
    candles = candles_of(LINEAR)
    day, now = Day(candles), START_MS + 20 * MINUTE_MS
    before = day.at(now)
    assert before == candles.between(now // MINUTE_MS * MINUTE_MS - DAY_MS, (now // MINUTE_MS + 1) * MINUTE_MS, now)
    assert before.trades > 10_000
    assert Decimal("0.005") < before.high / before.low - 1 < Decimal("0.04")
    assert day.at(now + 1) is before
    candles.on_trade(867_500, 3, "buy", now)
    after = day.at(now)
    assert (after.close, after.trades) == (Decimal("86750.0"), before.trades + 1)
    assert day.at(now + MINUTE_MS).start == before.start + MINUTE_MS
