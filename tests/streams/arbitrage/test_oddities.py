"""Quotes that cannot be judged are reported once, and open no signal."""

import pytest

from schemas.errors import RangeError
from streams.arbitrage.execution import execute
from tests.streams.arbitrage.helpers import JoinRig, opened


def test_a_profit_that_fits_no_column() -> None:
    """It is one dead letter with both quotes, and not repeated until the pair could be judged again."""
    join = JoinRig()
    join.quote("binance", 0, [], [["100000000000", "1"], ["100000000001", "90000000000"]])
    assert join.quote("okx", 10, [["110000000000", "90000000000"]], []) == []
    assert join.quote("okx", 20, [["110000000001", "90000000000"]], []) == []
    [(topic, key, letter)] = join.others
    assert (topic, key, letter["topic"]) == ("dead_letters", b"binance:BTC-USDT", "join.quotes")
    assert "more than 20 digits before the point" in letter["reason"]
    assert len(letter["frame"].splitlines()) == 2
    assert letter["source"] == "join:0:1:0:0"
    [signal] = join.quote("okx", 30, [["110000000001", "1"]], [])
    assert signal["type"] == "opened"
    assert join.quote("okx", 40, [["110000000000", "90000000000"]], []) == []
    assert len(join.others) == 2
    with pytest.raises(RangeError, match="out of range"):
        execute([["1", "9e19"]], [["100000", "9e19"]], 10.0, 10.0)


def test_prices_of_different_coins() -> None:
    """Two coins with one ticker are reported once, and again only after their prices were plausible."""
    join = JoinRig()
    join.quote("okx", 0, [["0.000266", "5"]], [["0.000267", "5"]])
    for millis in (10, 20, 30):
        assert join.quote("htx", millis, [["0.0297", "5"]], [["0.0298", "5"]]) == []
    [(topic, key, status)] = join.others
    assert (topic, key, status["type"]) == ("market.status", b"okx:BTC-USDT", "implausible")
    assert status["reason"] == "okx:BTC-USDT asks 0.000267, htx:BTC-USDT bids 0.0297: 1102360 bps"
    assert join.quote("htx", 40, [["0.000266", "5"]], [["0.000268", "5"]]) == []
    join.quote("htx", 50, [["0.0297", "5"]], [["0.0298", "5"]])
    assert len(join.others) == 2
    assert join.partition.entries["BTC-USDT"].statistics["okx", "htx"].mean < 2000


def test_an_opportunity_that_becomes_implausible_closes() -> None:
    """It closes with that reason, and a restart does not repeat the report about the pair."""
    join = opened()
    [closed] = join.quote("okx", 20, [["130", "3"]], [["131", "1"]])
    assert (closed["type"], closed["reason"]) == ("closed", "implausible")
    assert [status["source"] for _, _, status in join.others] == ["join:0:2:0:1"]
    restarted = JoinRig()
    restarted.partition.load("BTC-USDT", join.partition.dump("BTC-USDT"))
    restarted.offset = join.offset
    restarted.quote("okx", 30, [["130", "3"]], [["131", "1"]])
    assert restarted.others == []
