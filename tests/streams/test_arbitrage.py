"""The windowed join: which quotes pair, what a signal says, and how it ends."""

from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Signal
from schemas.settings import load_settings
from streams.arbitrage import JoinPartition
from streams.spread import SpreadStatistics, execute

SETTINGS = load_settings()  # fees: 10 bps each on spot; window 500 ms
T0 = 1_790_000_000_000_000
Levels = list[list[str]]


class Join:
    """Feeds one partition of the join, line by line, each quote with a source above the last."""

    def __init__(self) -> None:
        self.partition = JoinPartition(0, SETTINGS)
        self.offset = 0
        self.signals: list[dict[str, Any]] = []

    def line(self, line: bytes) -> list[dict[str, Any]]:
        found = [orjson.loads(value) for _, _, value in self.partition.process(self.offset, line)]
        self.offset += 1
        self.signals += found
        for signal in found:
            Signal.model_validate(signal)
        return found

    def quote(
        self, exchange: str, millis: float, bids: Levels, asks: Levels, state: str = "live"
    ) -> list[dict[str, Any]]:
        body = {
            "source": f"{exchange}:0:{self.offset}:0:0", "exchange": exchange, "symbol": "BTC-USDT",
            "timestamp": T0, "local_timestamp": T0 + int(millis * 1000), "origin": "bbo", "sequence": 1,
            "bids": bids, "asks": asks,
        }  # fmt: skip
        return self.line(state.encode() + b"\t" + orjson.dumps(body))

    def notice(self, exchange: str, millis: float, state: str) -> list[dict[str, Any]]:
        body = {
            "source": f"{exchange}:0:{self.offset}:0:0", "exchange": exchange, "symbol": "BTC-USDT",
            "local_timestamp": T0 + int(millis * 1000),
        }  # fmt: skip
        return self.line(state.encode() + b"\t" + orjson.dumps(body))

    def tick(self, exchange: str, millis: float, partition: int = 0) -> list[dict[str, Any]]:
        return self.line(b"tick\t%s\t%d\t%d" % (exchange.encode(), partition, T0 + int(millis * 1000)))


def opened() -> Join:
    """Buying on Binance at 100 and selling on OKX at 101 pays 100 bps gross."""
    join = Join()
    join.quote("binance", 0, [["99", "1"]], [["100", "2"]])
    [signal] = join.quote("okx", 10, [["101", "3"]], [["102", "1"]])
    assert signal["type"] == "opened"
    return join


def test_opened_says_what_it_rests_on() -> None:
    """Exchanges, prices, fees, ages, executable amount and exact profit."""
    [signal] = opened().signals
    buy, sell = signal["buy"], signal["sell"]
    assert (buy["exchange"], buy["price"], buy["fee_bps"], buy["age"]) == ("binance", "100", 10.0, 10_000)
    assert (sell["exchange"], sell["price"], sell["book"], sell["age"]) == ("okx", "101", "live", 0)
    assert signal["gross_bps"] == pytest.approx(100)
    assert signal["amount"] == "2"
    # 2 x (101 x 0.999 - 100 x 1.001)
    assert signal["profit"] == "1.598"
    assert signal["id"] == f"BTC-USDT:binance:okx:{T0 + 10_000}"


def test_a_new_peak_is_told_and_a_lesser_one_is_not() -> None:
    """`updated` comes with a higher profit only; the close repeats the peak."""
    join = opened()
    assert join.quote("okx", 20, [["100.9", "3"]], [["102", "1"]]) == []
    [update] = join.quote("okx", 30, [["101.5", "3"]], [["102", "1"]])
    assert (update["type"], update["profit"]) == ("updated", update["peak_profit"])
    [closed] = join.quote("okx", 40, [["99", "3"]], [["102", "1"]])
    assert (closed["type"], closed["reason"], closed["lifetime"]) == ("closed", "spread_gone", 30_000)
    assert closed["peak_profit"] == update["profit"]
    assert closed["id"] == update["id"]


def test_the_same_profit_is_no_new_peak() -> None:
    """A profit that only rounding tells from the peak is not told again."""
    join = Join()
    join.quote("binance", 0, [["99", "1"]], [["100.000000000001", "0.3333333333333"]])
    assert len(join.quote("okx", 10, [["101.000000000007", "7"]], [["102", "1"]])) == 1
    assert join.quote("okx", 20, [["101.000000000007", "7"]], [["102", "1"]]) == []


def test_fees_decide() -> None:
    """A gross spread below both fees is no signal."""
    join = Join()
    join.quote("binance", 0, [["99.9", "1"]], [["100", "1"]])
    assert join.quote("okx", 10, [["100.19", "1"]], [["102", "1"]]) == []
    assert join.quote("okx", 20, [["100.21", "1"]], [["102", "1"]]) != []


def test_quotes_outside_the_window_do_not_pair() -> None:
    """Half a second is the most that two quotes may be apart."""
    join = Join()
    join.quote("binance", 0, [["99", "1"]], [["100", "1"]])
    assert join.quote("okx", 501, [["101", "1"]], [["102", "1"]]) == []
    assert join.quote("binance", 900, [["99", "1"]], [["100", "1"]]) != []


def test_too_old_a_quote_closes() -> None:
    """Time alone closes a signal, once both exchanges' streams have moved past the window."""
    join = opened()
    assert join.tick("binance", 900) == []
    assert join.tick("okx", 300) == []
    assert join.tick("okx", 900, partition=1) == []  # of another partition, whose quotes these are not
    [closed] = join.tick("okx", 600)
    assert closed["reason"] == "quote_too_old"


def test_a_book_that_is_not_live_closes_and_does_not_open() -> None:
    """No signal rests on a book that is not live."""
    join = opened()
    [closed] = join.notice("okx", 50, "waiting")
    assert (closed["reason"], closed["sell"]["book"]) == ("book_not_live", "waiting")
    assert join.quote("okx", 60, [["101", "3"]], [["102", "1"]], "waiting") == []


def test_an_empty_side_pays_nothing() -> None:
    """A book without bids cannot be sold into."""
    join = opened()
    [closed] = join.quote("okx", 20, [], [["102", "1"]])
    assert closed["reason"] == "spread_gone"


def test_time_does_not_go_back() -> None:
    """A quote that arrives after a later one of another exchange is joined at the later time."""
    join = opened()
    [update] = join.quote("binance", 5, [["99", "1"]], [["99.5", "2"]])
    assert (update["type"], update["lifetime"], update["buy"]["age"]) == ("updated", 0, 5_000)


def test_repeated_quotes_are_dropped() -> None:
    """A quote published again after a crash changes nothing."""
    join = Join()
    join.quote("binance", 0, [["99", "1"]], [["100", "1"]])
    okx = {"source": "okx:0:5:0:0", "exchange": "okx", "symbol": "BTC-USDT", "timestamp": T0, "local_timestamp": T0,
           "origin": "bbo", "sequence": 1, "bids": [["101", "1"]], "asks": [["102", "1"]]}  # fmt: skip
    assert len(join.line(b"live\t" + orjson.dumps(okx))) == 1
    assert join.line(b"live\t" + orjson.dumps(okx | {"bids": [["150", "1"]]})) == []


prices = st.integers(95, 105).map(str)
quotes = st.lists(
    st.tuples(st.sampled_from(["binance", "okx"]), prices, prices, st.integers(0, 400), st.booleans()), max_size=30
)


@given(quotes, st.integers(0, 30), st.integers(0, 30))
def test_restart_gives_the_same_signals(moves: list[Any], checkpoint: int, crash: int) -> None:
    """Crash anywhere, restore, read again: every signal comes out once by its source, as in the undisturbed run."""
    whole = Join()
    lines: list[bytes] = []
    millis = 0
    for exchange, low, high, pause, live in moves:
        millis += pause
        body = {"source": f"{exchange}:0:{len(lines)}:0:0", "exchange": exchange, "symbol": "BTC-USDT", "timestamp": T0,
                "local_timestamp": T0 + millis * 1000, "origin": "bbo", "sequence": 1, "bids": [[low, "1"]],
                "asks": [[high, "1"]]}  # fmt: skip
        lines.append((b"live\t" if live else b"stale\t") + orjson.dumps(body))
    for line in lines:
        whole.line(line)
    checkpoint, crash = sorted((min(checkpoint, len(lines)), min(crash, len(lines))))
    first, second = Join(), JoinPartition(0, SETTINGS)
    dumps: dict[str, bytes] = {}
    for number, line in enumerate(lines[:crash]):
        if number == checkpoint:
            dumps = {key: first.partition.dump(key) for key in first.partition.take_changed()}
        first.line(line)
    for symbol, dump in dumps.items():
        second.load(symbol, dump)
    again = [orjson.loads(value) for number, line in enumerate(lines) for _, _, value in second.process(number, line)]
    by_source = {signal["source"]: signal for signal in [*first.signals, *again]}
    assert by_source == {signal["source"]: signal for signal in whole.signals}


levels = st.lists(st.tuples(st.integers(90, 110), st.integers(1, 5)), min_size=1, max_size=5)


@given(levels, levels)
def test_execution_takes_all_that_pays_and_nothing_else(
    asks: list[tuple[int, int]], bids: list[tuple[int, int]]
) -> None:
    """The walk's profit is the best over every amount: no unit more, no unit less would earn more."""
    sellers = sorted(asks)
    buyers = sorted(bids, reverse=True)
    found = execute([[str(p), str(a)] for p, a in sellers], [[str(p), str(a)] for p, a in buyers], 10.0, 10.0)
    units_sold = [Decimal(price) for price, amount in sellers for _ in range(amount)]
    units_bought = [Decimal(price) for price, amount in buyers for _ in range(amount)]
    gains = [
        bid * Decimal("0.999") - ask * Decimal("1.001") for ask, bid in zip(units_sold, units_bought, strict=False)
    ]
    assert found.profit == sum(gain for gain in gains if gain > 0)
    assert found.amount == sum(1 for gain in gains if gain > 0)


def test_statistics_of_a_steady_spread() -> None:
    """The mean of what was seen, and no deviation where there is none."""
    statistics = SpreadStatistics()
    for number in range(100):
        statistics.add(T0 + number * 100_000, 5.0)
        statistics.add(T0 + number * 100_000 + 1, 99.0)  # too soon after the last to count
    described = statistics.describe(5.0)
    assert described["spread_mean_bps"] == 5.0
    assert described["spread_stdev_bps"] == 0.0
    assert described["spread_count"] == 100
