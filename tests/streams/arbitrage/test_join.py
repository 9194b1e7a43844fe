"""The join processes each line once, whatever it holds, and a restart does not change what it publishes."""

from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.keys import input_partition_of
from schemas.settings import load_settings
from streams.arbitrage.join import JoinProcessor
from streams.raw_processor import RawProcessor
from tests.frames import binance, line
from tests.streams.arbitrage.helpers import SETTINGS, T0, JoinRig


def test_duplicate_quotes_are_dropped() -> None:
    """A quote that is published again after a crash changes nothing."""
    join = JoinRig()
    join.quote("binance", 0, [["99", "1"]], [["100", "1"]])
    okx = {"source": "okx:0:5:0:0", "exchange": "okx", "symbol": "BTC-USDT", "timestamp": T0, "local_timestamp": T0,
           "origin": "bbo", "sequence": 1, "bids": [["101", "1"]], "asks": [["102", "1"]]}  # fmt: skip
    assert len(join.send(b"live\t" + orjson.dumps(okx))) == 1
    assert join.send(b"live\t" + orjson.dumps(okx | {"bids": [["150", "1"]]})) == []


prices = st.integers(95, 105).map(str)
quotes = st.lists(
    st.tuples(st.sampled_from(["binance", "okx"]), prices, prices, st.integers(0, 400), st.booleans()), max_size=30
)


@given(quotes, st.integers(0, 30), st.integers(0, 30))
def test_restart_gives_the_same_signals(moves: list[Any], checkpoint: int, crash: int) -> None:
    """After a crash at any record and a restart, each source has one signal, the same as in an unbroken run."""
    whole = JoinRig()
    sent: list[bytes] = []
    millis = 0
    for exchange, low, high, pause, live in moves:
        millis += pause
        body = {"source": f"{exchange}:0:{len(sent)}:0:0", "exchange": exchange, "symbol": "BTC-USDT", "timestamp": T0,
                "local_timestamp": T0 + millis * 1000, "origin": "bbo", "sequence": 1, "bids": [[low, "1"]],
                "asks": [[high, "1"]]}  # fmt: skip
        sent.append((b"live\t" if live else b"stale\t") + orjson.dumps(body))
    for record in sent:
        whole.send(record)
    checkpoint, crash = sorted((min(checkpoint, len(sent)), min(crash, len(sent))))
    first, second = JoinRig(), JoinProcessor(0, SETTINGS)
    dumps: dict[str, bytes] = {}
    for number, record in enumerate(sent[:crash]):
        if number == checkpoint:
            dumps = {key: first.partition.dump(key) for key in first.partition.take_changed()}
        first.send(record)
    for symbol, dump in dumps.items():
        second.load(symbol, dump)
    again = [
        orjson.loads(value)
        for number, record in enumerate(sent)
        for _, _, value in second.process(number, record).records
    ]
    by_source = {signal["source"]: signal for signal in [*first.signals, *again]}
    assert by_source == {signal["source"]: signal for signal in whole.signals}


sizes = st.decimals("0.000000000000000001", "99999999999999999999", allow_nan=False, places=18).map("{:f}".format)


@given(st.lists(st.tuples(sizes, sizes), max_size=5), st.lists(st.tuples(sizes, sizes), max_size=5))
def test_no_numbers_stop_the_join(asks: list[tuple[str, str]], bids: list[tuple[str, str]]) -> None:
    """Any prices and amounts that fit a column give a signal, nothing, or one dead letter."""
    join = JoinRig(load_settings(arbitrage_max_bps=1e60))
    join.quote("binance", 0, [], sorted(map(list, asks), key=lambda level: Decimal(level[0])))
    join.quote("okx", 10, sorted(map(list, bids), key=lambda level: -Decimal(level[0])), [])
    assert len(join.signals) + len(join.others) <= 1
    for signal in join.signals:
        for number in (signal["amount"], signal["profit"], signal["buy"]["average_price"]):
            assert 0 < Decimal(number) < 10**20
            assert -int(Decimal(number).as_tuple().exponent) <= 18


def test_exclusions_and_aliases() -> None:
    """An excluded instrument is never paired. A coin with another name is, and signals have the common name."""
    join = JoinRig(load_settings(arbitrage_exclude=["okx:ABC-USDT"], arbitrage_aliases={"htx:LUNA-USDT": "LUNC-USDT"}))
    join.quote("okx", 0, [["101", "1"]], [["102", "1"]], symbol="ABC-USDT")
    assert join.quote("htx", 10, [["99", "1"]], [["100", "1"]], symbol="ABC-USDT") == []
    join.quote("okx", 20, [["101", "1"]], [["102", "1"]], symbol="LUNC-USDT")
    join.quote("okx", 20, [["101", "1"]], [["102", "1"]], symbol="LUNA-USDT")
    assert join.quote("htx", 30, [["98", "1"]], [["99", "1"]], symbol="LUNC-USDT") == []  # the alias has taken the name
    [signal] = join.quote("htx", 40, [["99", "1"]], [["100", "1"]], symbol="LUNA-USDT")
    assert (signal["symbol"], signal["buy"]["exchange"]) == ("LUNC-USDT", "htx")


def test_quotes_are_sent_to_the_partition_of_their_joined_symbol() -> None:
    """An alias decides the join's partition. Quotes of an excluded instrument are published, but not joined."""
    settings = load_settings(
        partitions=64, arbitrage_exclude=["binance:ETH-USDT"], arbitrage_aliases={"binance:BTC-USDT": "XBT-USDT"}
    )
    quote = binance.quote(1, "10", "1", "11", "1")
    other = quote.replace(b"BTCUSDT", b"ETHUSDT").replace(b"btcusdt", b"ethusdt")
    out = RawProcessor("binance", 0, settings).process(
        0, line("binance:BTC-USDT", quote) + line("binance:ETH-USDT", other)
    )
    assert [topic for topic, _, _ in out.records] == ["market.quotes"] * 2
    assert list(out.joins) == [input_partition_of("XBT-USDT", 64)]


def test_signals_go_on_after_our_clock_was_set_back() -> None:
    """Signals have the times of a clock that was set back by two minutes, and no lifetime is negative."""
    join = JoinRig()
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
    "malformed",
    [b"", b"x", b"live\t{", b"live\t{}", b"odd\t{}", b"tick\t", b"tick\tokx\t0\tx", b"tick\tokx", b"\xff\t\xff",
     b'live\t{"source":"okx:0:x:0:0","exchange":"okx","symbol":"BTC-USDT","local_timestamp":1}'],
)  # fmt: skip
def test_malformed_lines_are_dead_letters(malformed: bytes) -> None:
    """A malformed line is one dead letter, and the lines around it are processed."""
    join = JoinRig()
    quote = {
        "source": "binance:0:0:0:0", "exchange": "binance", "symbol": "BTC-USDT", "timestamp": T0,
        "local_timestamp": T0, "origin": "bbo", "sequence": 1, "bids": [["99", "1"]], "asks": [["100", "1"]],
    }  # fmt: skip
    join.send(malformed + b"\nlive\t" + orjson.dumps(quote))
    assert [topic for topic, _, _ in join.others] == ["dead_letters"]
    assert join.quote("okx", 10, [["101", "1"]], [["102", "1"]]) != []
