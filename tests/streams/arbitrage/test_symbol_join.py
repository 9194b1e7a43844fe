"""Quotes pair within the window, and signals open, peak and close."""

from decimal import Context, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.settings import load_settings
from tests.streams.arbitrage.helpers import T0, JoinRig, opened


def test_an_opened_signal_names_its_quotes() -> None:
    """It has the exchanges, prices, fees, ages, the executable amount and the exact profit."""
    [signal] = opened().signals
    buy, sell = signal["buy"], signal["sell"]
    assert (buy["exchange"], buy["price"], buy["fee_bps"], buy["age"]) == ("binance", "100", 10.0, 10_000)
    assert (sell["exchange"], sell["price"], sell["book"], sell["age"]) == ("okx", "101", "live", 0)
    assert signal["gross_bps"] == pytest.approx(100)
    assert signal["amount"] == "2"
    # 2 x (101 x 0.999 - 100 x 1.001)
    assert signal["profit"] == "1.598"
    assert signal["id"] == f"BTC-USDT:binance:okx:{T0 + 10_000}"


def test_only_a_new_peak_is_reported() -> None:
    """`updated` is published for a higher profit only, and `closed` repeats the peak."""
    join = opened()
    assert join.quote("okx", 20, [["100.9", "3"]], [["102", "1"]]) == []
    [update] = join.quote("okx", 30, [["101.5", "3"]], [["102", "1"]])
    assert (update["type"], update["profit"]) == ("updated", update["peak_profit"])
    [closed] = join.quote("okx", 40, [["99", "3"]], [["102", "1"]])
    assert (closed["type"], closed["reason"], closed["lifetime"]) == ("closed", "spread_gone", 30_000)
    assert closed["peak_profit"] == update["profit"]
    assert closed["id"] == update["id"]


def test_the_same_profit_is_not_a_new_peak() -> None:
    """A profit that differs from the peak only before rounding is not reported again."""
    join = JoinRig()
    join.quote("binance", 0, [["99", "1"]], [["100.000000000001", "0.3333333333333"]])
    assert len(join.quote("okx", 10, [["101.000000000007", "7"]], [["102", "1"]])) == 1
    assert join.quote("okx", 20, [["101.000000000007", "7"]], [["102", "1"]]) == []


def test_fees_decide() -> None:
    """A gross spread below both fees is not a signal."""
    join = JoinRig()
    join.quote("binance", 0, [["99.9", "1"]], [["100", "1"]])
    assert join.quote("okx", 10, [["100.19", "1"]], [["102", "1"]]) == []
    assert join.quote("okx", 20, [["100.21", "1"]], [["102", "1"]]) != []


def test_quotes_outside_the_window_do_not_pair() -> None:
    """Two quotes may be at most half a second apart."""
    join = JoinRig()
    join.quote("binance", 0, [["99", "1"]], [["100", "1"]])
    assert join.quote("okx", 501, [["101", "1"]], [["102", "1"]]) == []
    assert join.quote("binance", 900, [["99", "1"]], [["100", "1"]]) != []


def test_a_quote_by_rest_pairs_without_a_book() -> None:
    """It is here because the settings let it be paired. The signal says what it rests on; a `bbo` needs the book."""
    join = JoinRig()
    join.quote("binance", 0, [["99", "1"]], [["100", "2"]])
    assert join.quote("okx", 10, [["101", "2"]], [["102", "1"]], "waiting") == []
    [signal] = join.quote("okx", 20, [["101", "2"]], [["102", "1"]], "waiting", origin="rest")
    assert (signal["sell"]["origin"], signal["sell"]["book"], signal["buy"]["origin"]) == ("rest", "waiting", "bbo")
    [closed] = join.quote("okx", 30, [["101", "2"]], [["102", "1"]], "waiting")
    assert closed["reason"] == "book_not_live"


def test_an_old_quote_closes() -> None:
    """Time alone closes a signal, once stream time of both exchanges has moved past the window."""
    join = opened()
    assert join.tick("binance", 900) == []
    assert join.tick("okx", 300) == []
    assert join.tick("okx", 900, partition=1) == []  # another partition's time
    [closed] = join.tick("okx", 600)
    assert closed["reason"] == "quote_too_old"


def test_a_book_that_is_not_live_closes_and_does_not_open() -> None:
    """A signal needs two live books."""
    join = opened()
    [closed] = join.notice("okx", 50, "waiting")
    assert (closed["reason"], closed["sell"]["book"]) == ("book_not_live", "waiting")
    assert join.quote("okx", 60, [["101", "3"]], [["102", "1"]], "waiting") == []


def test_an_empty_side_closes() -> None:
    """Nothing can be sold to a book without bids."""
    join = opened()
    [closed] = join.quote("okx", 20, [], [["102", "1"]])
    assert closed["reason"] == "spread_gone"


def test_time_does_not_go_back() -> None:
    """A quote that arrives after a later one of another exchange is paired at the later time."""
    join = opened()
    [update] = join.quote("binance", 5, [["99", "1"]], [["99.5", "2"]])
    assert (update["type"], update["lifetime"], update["buy"]["age"]) == ("updated", 0, 5_000)


def test_the_boundary_is_decided_by_decimals() -> None:
    """Floats give a net spread of 2e-12 bps where exact decimals give none: no signal of amount zero is opened."""
    join = JoinRig()
    join.quote("binance", 0, [["990", "1"]], [["999", "1"]])
    assert join.quote("okx", 10, [["1001", "1"]], [["1002", "1"]]) == []  # 1001 x 0.999 = 999 x 1.001
    [opened] = join.quote("okx", 20, [["1001.000000000000000001", "1"]], [["1002", "1"]])
    assert (opened["amount"], opened["profit"]) == ("1", "0.000000000000000001")
    [closed] = join.quote("okx", 30, [["1001", "1"]], [["1002", "1"]])
    assert (closed["type"], closed["reason"]) == ("closed", "spread_gone")


def test_the_least_spread_is_decided_by_decimals() -> None:
    """A net spread of exactly `arbitrage_min_bps` opens a signal, the next smaller one does not."""
    join = JoinRig(load_settings(arbitrage_min_bps=10.0, fees_bps={"binance-spot": 0.0, "okx": 0.0}))
    join.quote("binance", 0, [["99", "1"]], [["1000", "1"]])
    assert join.quote("okx", 10, [["1000.999999999999999999", "1"]], [["1002", "1"]]) == []
    assert len(join.quote("okx", 20, [["1001", "1"]], [["1002", "1"]])) == 1


@given(
    st.integers(1, 10**6), st.integers(1, 10**6), st.sampled_from([0.0, 3.5, 5.0, 6.0, 10.0, 20.0]), st.integers(0, 12)
)
def test_signals_have_an_amount(ask: int, bid: int, fee: float, places: int) -> None:
    """For any prices and fees, a signal opens if it pays by exact decimals, and has an amount and a profit."""
    join = JoinRig(load_settings(fees_bps={"binance-spot": fee, "okx": fee}, arbitrage_max_bps=1e30))
    prices = [format(Decimal(value).scaleb(-places), "f") for value in (ask, bid)]
    join.quote("binance", 0, [], [[prices[0], "7"]])
    found = join.quote("okx", 10, [[prices[1], "7"]], [])
    pays = Decimal(bid) * (10_000 - Decimal(str(fee))) > Decimal(ask) * (10_000 + Decimal(str(fee)))
    assert len(found) == pays
    for signal in found:
        assert Decimal(signal["amount"]) > 0
        assert Decimal(signal["profit"]) > 0


def test_tiny_prices_and_huge_amounts() -> None:
    """Books of a coin priced at 9e-11 with levels of 1e12 and more give results exact to the last digit."""
    join = JoinRig()
    tiny, amount = "0.0000000000900000", "20000000000000000.123456789012345678"
    join.quote("binance", 0, [], [[tiny, "1000000000000"], ["0.00000000009000001", amount]])
    [signal] = join.quote("okx", 10, [["0.0000000000910", "99999999999999999999"]], [])
    bought = Decimal("1000000000000") * Decimal(tiny) + Decimal(amount) * Decimal("0.00000000009000001")
    taken = Decimal("20001000000000000.123456789012345678")
    assert Decimal(signal["amount"]) == taken
    with localcontext(Context(prec=200)):
        exact = taken * Decimal("0.0000000000910") * Decimal("0.999") - bought * Decimal("1.001")
        assert abs(Decimal(signal["profit"]) - exact) <= Decimal("5e-19")
        assert abs(Decimal(signal["buy"]["average_price"]) - bought / taken) <= Decimal("5e-19")
    assert signal["buy"]["average_price"].startswith("0.0000000000900000")
    assert signal["sell"]["average_price"] == "0.000000000091"
