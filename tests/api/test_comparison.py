"""A symbol's quotes are compared exactly, and only those that can be trusted."""

from marketprism.api.market import Market
from tests.api.market_data import apply, quote, snapshot, status


def test_the_best_prices() -> None:
    """The highest bid and the lowest ask are the best, also beyond the digits of a float."""
    market = Market()
    quote(market, "100.000000000000000001", "100.5", "okx")
    quote(market, "100.000000000000000002", "100.6", "htx")
    quote(market, "99", "100.5", "binance")
    found = market.comparison("BTC-USDT")
    assert [row.exchange for row in found.rows] == ["binance", "okx", "htx"]
    assert [row.is_best_bid for row in found.rows] == [False, False, True]
    assert [row.is_best_ask for row in found.rows] == [True, True, False]
    assert found.best_bid == "100.000000000000000002"
    assert found.rows[0].bid_bps == -100.0
    assert found.cross_bps == -49.75


def test_an_overlap() -> None:
    """A bid above another exchange's ask is a positive cross."""
    market = Market()
    quote(market, "101", "102", "okx")
    quote(market, "99", "100", "htx")
    assert market.comparison("BTC-USDT").cross_bps == 100.0


def test_only_live_quotes_are_compared() -> None:
    """Neither an old quote, nor that of a stale book, nor one of a lost connection is the best."""
    market = Market()
    quote(market, "100", "101", "okx")
    quote(market, "104", "90", "binance", local_timestamp=1)
    quote(market, "103", "91", "htx")
    snapshot(market, [["103", "1"]], [["104", "1"]], "htx")
    apply(market, "market.gaps", "htx", type="opened", channel="books")
    found = market.comparison("BTC-USDT")
    assert [row.state for row in found.rows] == ["stale", "live", "stale"]
    assert (found.best_bid, found.best_ask) == ("100", "101")
    status(market, "connected", "books", exchange="okx")
    status(market, "disconnected", "books", exchange="okx")
    assert market.comparison("BTC-USDT").rows[1].state == "down"
    assert market.comparison("BTC-USDT").best_bid == ""


def test_quotes_by_rest() -> None:
    """A quote that was polled takes no part in the best, and is marked also while its connections are down."""
    market = Market()
    quote(market, "100", "101", "okx")
    snapshot(market, [["99", "1"]], [["102", "1"]], "htx")
    status(market, "connected", "books", exchange="htx")
    status(market, "disconnected", "books", exchange="htx")
    apply(market, "market.gaps", "htx", type="opened", channel="books")
    quote(market, "104", "90", "htx", origin="rest")
    found = market.comparison("BTC-USDT")
    assert [row.state for row in found.rows] == ["live", "rest"]
    assert (found.best_bid, found.best_ask) == ("100", "101")
    quote(market, "104", "90", "htx", origin="rest", local_timestamp=1)
    assert market.comparison("BTC-USDT").rows[1].state == "down"


def test_an_empty_side() -> None:
    """A quote without bids has no best bid, and no cross."""
    market = Market()
    quote(market, "", "101")
    found = market.comparison("BTC-USDT")
    assert (found.best_bid, found.best_ask, found.cross_bps) == ("", "101", None)


def test_the_smallest_tick() -> None:
    """Prices are shown with the smallest tick of the exchanges."""
    market = Market()
    for exchange, tick in (("okx", "0.1"), ("htx", "0.01")):
        quote(market, "100", "101", exchange)
        apply(market, "market.instruments", exchange, type="listed", tick_size=tick)
    assert market.comparison("BTC-USDT").tick == "0.01"
