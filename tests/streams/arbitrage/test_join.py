"""The windowed join: which quotes pair, what a signal says, and how it ends."""

from decimal import Context, Decimal, localcontext
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import RangeError
from schemas.events import EVENTS
from schemas.keys import partition_of
from schemas.settings import Settings, load_settings
from streams.arbitrage.execution import execute
from streams.arbitrage.join import JoinProcessor
from streams.arbitrage.statistics import SpreadStatistics
from streams.raw_processor import RawProcessor
from tests import frames
from tests.frames import binance

SETTINGS = load_settings()  # fees: 10 bps each on spot; window 500 ms
T0 = 1_790_000_000_000_000
Levels = list[list[str]]


class Join:
    """Feeds one partition of the join, line by line, each quote with a source above the last."""

    def __init__(self, settings: Settings = SETTINGS) -> None:
        self.partition = JoinProcessor(0, settings)
        self.offset = 0
        self.signals: list[dict[str, Any]] = []
        self.others: list[tuple[str, bytes, dict[str, Any]]] = []  # topic, key and body of all that is no signal

    def line(self, line: bytes) -> list[dict[str, Any]]:
        records = self.partition.process(self.offset, line).records
        self.offset += 1
        for topic, key, value in records:
            assert key is not None
            body = orjson.loads(value)
            EVENTS[topic].model_validate(body)
            if topic != "signals.arbitrage":
                self.others.append((topic, key, body))
        found = [orjson.loads(value) for topic, _, value in records if topic == "signals.arbitrage"]
        self.signals += found
        return found

    def quote(
        self, exchange: str, millis: float, bids: Levels, asks: Levels, state: str = "live", symbol: str = "BTC-USDT"
    ) -> list[dict[str, Any]]:
        body = {
            "source": f"{exchange}:0:{self.offset}:0:0", "exchange": exchange, "symbol": symbol,
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
    first, second = Join(), JoinProcessor(0, SETTINGS)
    dumps: dict[str, bytes] = {}
    for number, line in enumerate(lines[:crash]):
        if number == checkpoint:
            dumps = {key: first.partition.dump(key) for key in first.partition.take_changed()}
        first.line(line)
    for symbol, dump in dumps.items():
        second.load(symbol, dump)
    again = [
        orjson.loads(value) for number, line in enumerate(lines) for _, _, value in second.process(number, line).records
    ]
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
    paying = [gain for gain in gains if gain > 0]
    assert (found is None) == (not paying)
    if found is not None:
        assert found.profit == sum(paying)
        assert found.amount == len(paying)


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


def test_the_boundary_is_decided_by_decimals() -> None:
    """Floats see a net of 2e-12 bps where exact decimals see none: no signal of an amount that is none."""
    join = Join()
    join.quote("binance", 0, [["990", "1"]], [["999", "1"]])
    assert join.quote("okx", 10, [["1001", "1"]], [["1002", "1"]]) == []  # 1001 x 0.999 = 999 x 1.001
    [opened] = join.quote("okx", 20, [["1001.000000000000000001", "1"]], [["1002", "1"]])
    assert (opened["amount"], opened["profit"]) == ("1", "0.000000000000000001")
    [closed] = join.quote("okx", 30, [["1001", "1"]], [["1002", "1"]])
    assert (closed["type"], closed["reason"]) == ("closed", "spread_gone")


def test_the_least_spread_is_decided_by_decimals() -> None:
    """A net of exactly `arbitrage_min_bps` opens, one a hair below it does not."""
    join = Join(load_settings(arbitrage_min_bps=10.0, fees_bps={"binance-spot": 0.0, "okx": 0.0}))
    join.quote("binance", 0, [["99", "1"]], [["1000", "1"]])
    assert join.quote("okx", 10, [["1000.999999999999999999", "1"]], [["1002", "1"]]) == []
    assert len(join.quote("okx", 20, [["1001", "1"]], [["1002", "1"]])) == 1


@given(
    st.integers(1, 10**6), st.integers(1, 10**6), st.sampled_from([0.0, 3.5, 5.0, 6.0, 10.0, 20.0]), st.integers(0, 12)
)
def test_signals_have_an_amount(ask: int, bid: int, fee: float, places: int) -> None:
    """Whatever the prices and fees: a signal has an amount and a profit, and is there if decimals say so."""
    join = Join(load_settings(fees_bps={"binance-spot": fee, "okx": fee}, arbitrage_max_bps=1e30))
    prices = [format(Decimal(value).scaleb(-places), "f") for value in (ask, bid)]
    join.quote("binance", 0, [], [[prices[0], "7"]])
    found = join.quote("okx", 10, [[prices[1], "7"]], [])
    pays = Decimal(bid) * (10_000 - Decimal(str(fee))) > Decimal(ask) * (10_000 + Decimal(str(fee)))
    assert len(found) == pays
    for signal in found:
        assert Decimal(signal["amount"]) > 0
        assert Decimal(signal["profit"]) > 0


def test_tiny_prices_and_huge_amounts() -> None:
    """Books of a coin of 9e-11 with levels of 1e12 and more: exact to the last digit, whatever their number."""
    join = Join()
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


sizes = st.decimals("0.000000000000000001", "99999999999999999999", allow_nan=False, places=18).map("{:f}".format)


@given(st.lists(st.tuples(sizes, sizes), max_size=5), st.lists(st.tuples(sizes, sizes), max_size=5))
def test_no_numbers_stop_the_join(asks: list[tuple[str, str]], bids: list[tuple[str, str]]) -> None:
    """Any prices and amounts that a column holds give a signal, none, or one dead letter."""
    join = Join(load_settings(arbitrage_max_bps=1e60))
    join.quote("binance", 0, [], sorted(map(list, asks), key=lambda level: Decimal(level[0])))
    join.quote("okx", 10, sorted(map(list, bids), key=lambda level: -Decimal(level[0])), [])
    assert len(join.signals) + len(join.others) <= 1
    for signal in join.signals:
        for number in (signal["amount"], signal["profit"], signal["buy"]["average_price"]):
            assert 0 < Decimal(number) < 10**20
            assert -int(Decimal(number).as_tuple().exponent) <= 18


def test_a_profit_that_no_column_holds() -> None:
    """One dead letter with both quotes, once until the pair can be judged again; other pairs go on."""
    join = Join()
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
    """Two coins of one ticker are no opportunity: reported once, and again only after they were plausible."""
    join = Join()
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
    """With that as the reason; what was reported of a pair survives a restart."""
    join = opened()
    [closed] = join.quote("okx", 20, [["130", "3"]], [["131", "1"]])
    assert (closed["type"], closed["reason"]) == ("closed", "implausible")
    assert [status["source"] for _, _, status in join.others] == ["join:0:2:0:1"]
    restarted = Join()
    restarted.partition.load("BTC-USDT", join.partition.dump("BTC-USDT"))
    restarted.offset = join.offset
    restarted.quote("okx", 30, [["130", "3"]], [["131", "1"]])
    assert restarted.others == []


def test_exclusions_and_aliases() -> None:
    """An excluded instrument is never paired; another name of a coin is joined, and signals bear the common one."""
    join = Join(load_settings(arbitrage_exclude=["okx:ABC-USDT"], arbitrage_aliases={"htx:LUNA-USDT": "LUNC-USDT"}))
    join.quote("okx", 0, [["101", "1"]], [["102", "1"]], symbol="ABC-USDT")
    assert join.quote("htx", 10, [["99", "1"]], [["100", "1"]], symbol="ABC-USDT") == []
    join.quote("okx", 20, [["101", "1"]], [["102", "1"]], symbol="LUNC-USDT")
    join.quote("okx", 20, [["101", "1"]], [["102", "1"]], symbol="LUNA-USDT")
    assert join.quote("htx", 30, [["98", "1"]], [["99", "1"]], symbol="LUNC-USDT") == []  # the alias has the name
    [signal] = join.quote("htx", 40, [["99", "1"]], [["100", "1"]], symbol="LUNA-USDT")
    assert (signal["symbol"], signal["buy"]["exchange"]) == ("LUNC-USDT", "htx")


def test_quotes_go_where_they_are_joined() -> None:
    """An alias decides the join's partition; what is excluded is published, and not joined."""
    settings = load_settings(
        partitions=64, arbitrage_exclude=["binance:ETH-USDT"], arbitrage_aliases={"binance:BTC-USDT": "XBT-USDT"}
    )
    quote = binance.quote(1, "10", "1", "11", "1")
    other = quote.replace(b"BTCUSDT", b"ETHUSDT").replace(b"btcusdt", b"ethusdt")
    out = RawProcessor("binance", 0, settings).process(
        0, frames.line("binance:BTC-USDT", quote) + frames.line("binance:ETH-USDT", other)
    )
    assert [topic for topic, _, _ in out.records] == ["market.quotes"] * 2
    assert list(out.joins) == [partition_of("XBT-USDT", 64)]


def test_signals_go_on_after_our_clock_was_set_back() -> None:
    """Times of signals follow the clock that was set back by two minutes, and no lifetime is negative."""
    join = Join()
    join.tick("okx", 120_000)
    join.quote("okx", 120_000, [["100", "1"]], [["101", "1"]])
    join.quote("binance", 120_000, [["103", "1"]], [["104", "1"]])
    join.tick("okx", 1_000)
    join.quote("okx", 1_100, [["100", "1"]], [["104", "1"]])
    join.quote("binance", 1_100, [["103", "1"]], [["104", "1"]])
    join.quote("okx", 1_200, [["100", "1"]], [["101", "1"]])
    reopened = join.signals[-1]
    assert (reopened["type"], reopened["local_timestamp"]) == ("opened", T0 + 1_200_000)
    assert min(signal["lifetime"] for signal in join.signals) == 0


@pytest.mark.parametrize(
    "line",
    [b"", b"x", b"live\t{", b"live\t{}", b"odd\t{}", b"tick\t", b"tick\tokx\t0\tx", b"tick\tokx", b"\xff\t\xff",
     b'live\t{"source":"okx:0:x:0:0","exchange":"okx","symbol":"BTC-USDT","local_timestamp":1}'],
)  # fmt: skip
def test_odd_lines_are_dead_letters(line: bytes) -> None:
    """What is no line of the join is one dead letter, and the lines around it are joined."""
    join = Join()
    quote = {
        "source": "binance:0:0:0:0", "exchange": "binance", "symbol": "BTC-USDT", "timestamp": T0,
        "local_timestamp": T0, "origin": "bbo", "sequence": 1, "bids": [["99", "1"]], "asks": [["100", "1"]],
    }  # fmt: skip
    join.line(line + b"\nlive\t" + orjson.dumps(quote))
    assert [topic for topic, _, _ in join.others] == ["dead_letters"]
    assert join.quote("okx", 10, [["101", "1"]], [["102", "1"]]) != []
