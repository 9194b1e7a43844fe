"""Candles of trades against the exchange's own, from the messages of a frame to events."""

from typing import Any

import pytest
from msgspec.structs import replace

from schemas import markers
from streams.normalize.messages import Candle
from tests.frames.binance import COINM
from tests.streams.trade_candles.rig import DAY, SECOND, Rig, kline, trade

VOLUMES = {"volume": "1", "quote_volume": "10", "trades": 1, "taker_buy_volume": "1", "taker_buy_quote_volume": "10"}

NO_VOLUMES: dict[str, Any] = dict.fromkeys(VOLUMES, "0") | {"trades": 0}


def opened(rig: Rig, interval: str = "1m", seconds: int = 60) -> None:
    """Let the exchange send the candle before the first, which had no trades."""
    rig.klines(0, kline(-seconds, seconds, interval, **NO_VOLUMES))


def play(rig: Rig, theirs: Candle, at: float = 60.1, until: int = 85) -> None:
    """Trade once in the first minute, and take the exchange's candle of it."""
    opened(rig)
    rig.trades(30, trade(29.5))
    rig.ticks(31, int(at))
    rig.klines(at, theirs)
    rig.ticks(int(at) + 1, until)


def first_minute(**fields: Any) -> Candle:
    return kline(0, 60, "1m", **(VOLUMES | fields))


@pytest.mark.parametrize("at", [60.1, 70.1, 500.1])
def test_equal_candles_agree(at: float) -> None:
    """Whichever comes first waits; numbers are compared, not texts; what is not published is left out."""
    rig = Rig()
    play(rig, first_minute(high="10.000", volume="1.0", taker_buy_volume=None), at, int(at) + 20)
    assert rig.counts("1m") == (1, 0, 0)
    assert rig.differences() == []
    reports = rig.bodies("market.quality", type="report", check="candle")
    assert {(body["interval"], body["compared"], body["start"]) for body in reports} == {("1m", 1, None)}


def test_a_difference_has_both_values() -> None:
    """Of each field that differs, after a moment in which late trades might have explained it."""
    rig = Rig()
    play(rig, first_minute(high="10.5", trades=2), until=71)
    assert rig.differences() == []
    rig.ticks(72, 90)
    [difference] = rig.differences()
    assert difference | {"source": ""} == {
        "source": "", "exchange": "binance", "symbol": "BTC-USDT", "type": "difference", "check": "candle",
        "timestamp": DAY + 72 * SECOND, "local_timestamp": DAY + 72 * SECOND, "compared": 0, "agreed": 0,
        "differed": 0, "sequence": 0, "bbo": [], "book": [], "interval": "1m", "start": DAY, "late": 0, "cause": "",
        "fields": ["high", "trades"], "theirs": ["10.5", "2"], "ours": ["10", "1"],
    }  # fmt: skip
    assert rig.counts("1m") == (0, 1, 0)


def test_late_trades_explain_a_difference() -> None:
    """Those that make both equal."""
    rig = Rig()
    opened(rig)
    rig.trades(59.9, trade(59.8))
    rig.ticks(60, 64)
    rig.klines(64.1, first_minute(volume="3", quote_volume="32", trades=2, high="11", close="11", taker_buy_volume="3",
                                  taker_buy_quote_volume="32"))  # fmt: skip
    rig.trades(65, trade(59.9, "11", "2"))
    rig.ticks(66, 90)
    assert [(body["interval"], body["cause"]) for body in rig.differences()] == [("1m", "late")]
    assert rig.counts("1m") == (0, 1, 0)
    assert rig.counts("1s")[2] == 1


@pytest.mark.parametrize("kinds", [("adl",), ("block", "combo")])
def test_trades_off_the_book_explain_a_difference(kinds: tuple[str, ...]) -> None:
    """Any of the kinds that candles leave out, alone or together; others may be left out by the exchange, too."""
    rig = Rig()
    rig.trades(10, trade(9, "99", "5", kind="insurance_fund"))
    rig.trades(20, *(trade(18 + number, "12", "2", "sell", kind=kind) for number, kind in enumerate(kinds)))
    count = len(kinds)
    play(rig, first_minute(volume=str(1 + 2 * count), quote_volume=str(10 + 24 * count), trades=1 + count, high="12",
                           open="12"))  # fmt: skip
    assert [body["cause"] for body in rig.differences()] == ["not_on_book"]


def test_merged_trades_explain_a_difference() -> None:
    """If only their number differs, and the exchange's is higher."""
    for count, cause in ((4, "aggregated"), (0, "")):
        rig = Rig()
        play(rig, first_minute(trades=count))
        assert [(body["fields"], body["cause"]) for body in rig.differences()] == [(["trades"], cause)]


@pytest.mark.parametrize("count", [1, 2])
def test_both_sides_explain_a_difference(count: int) -> None:
    """An exchange may count the buyer's and the seller's volume, and each trade once or twice."""
    rig = Rig()
    play(rig, kline(0, 60, "1m", volume="2", quote_volume="20", trades=count))
    assert [body["cause"] for body in rig.differences()] == ["both_sides"]


def test_a_gap_explains_a_difference() -> None:
    """An incomplete candle is reported, but not counted."""
    rig = Rig()
    rig.trades(10, trade(9, number=5))
    rig.trades(20, trade(19, number=7))
    play(rig, first_minute(volume="9"))
    assert [body["cause"] for body in rig.differences()] == ["gap"]
    assert rig.counts("1m") == (0, 0, 0)


def test_an_incomplete_candle_that_is_equal_is_not_counted() -> None:
    """It may be equal by chance: nothing traded in the gap."""
    rig = Rig()
    rig.marker(40, markers.Disconnected(channels=["trades"], reason=""))
    play(rig, first_minute())
    assert rig.differences() == []
    assert rig.counts("1m") == (0, 0, 0)


def test_a_candle_that_we_do_not_have() -> None:
    """If the exchange had trades when we saw none, ours counts as empty; two empty ones are not counted."""
    rig = Rig()
    opened(rig)
    rig.ticks(1, 60)
    rig.klines(60.1, first_minute())
    rig.ticks(61, 120)
    rig.klines(120.1, kline(60, 60, "1m", **NO_VOLUMES))
    rig.ticks(121, 160)
    [difference] = rig.differences()
    assert difference["fields"] == list(VOLUMES)
    assert difference["ours"] == ["0"] * 5
    assert rig.counts("1m") == (0, 1, 0)


def test_without_trades_nothing_is_compared() -> None:
    """Candles may be ingested without the channel of the trades."""
    rig = Rig(begins=None)
    opened(rig)
    rig.klines(60.1, first_minute())
    rig.ticks(61, 160)
    assert rig.bodies("market.quality") == []


def test_candles_of_another_zone_are_not_compared() -> None:
    """HTX's days begin at midnight of UTC+8, when none of ours begins."""
    rig = Rig()
    opened(rig, "1d", 86_400)
    rig.trades(30, trade(29.5))
    rig.klines(57_600, kline(-28_800, 86_400, "1d", **VOLUMES))
    rig.tick(57_601)
    rig.tick(90_000)
    rig.tick(90_020)
    assert rig.bodies("market.quality", type="difference") == []


def test_continuous_contracts_are_not_compared() -> None:
    """Their trades are those of another instrument."""
    rig = Rig()
    play(rig, first_minute(volume="7", contract="current_quarter"))
    assert rig.bodies("market.quality") == []


def test_incomplete_candles_of_the_exchange_are_not_compared() -> None:
    """Their last updates may be missing."""
    rig = Rig()
    opened(rig)
    rig.trades(30, trade(29.5))
    rig.klines(59, replace(first_minute(volume="7"), closed=False))
    rig.ticks(60, 70)
    rig.klines(121, kline(120, 60, "1m"))
    rig.ticks(122, 150)
    assert rig.bodies("market.quality") == []


@pytest.mark.parametrize(("volume", "agrees"), [("0.00142857", 1), ("0.00142858", 1), ("0.0014286", 0)])
def test_quotients_are_rounded(volume: str, agrees: int) -> None:
    """Exchanges round the base volume of inverse contracts to 8 places."""
    rig = Rig(COINM)
    opened(rig)
    rig.trades(30, trade(29.5, "70000", "0.001428571428571429", exchange_amount="1"))
    rig.klines(60.1, kline(0, 60, "1m", volume=volume, **dict.fromkeys(("open", "high", "low", "close"), "70000")))
    rig.ticks(61, 90)
    assert rig.counts("1m") == (agrees, 1 - agrees, 0)


def test_restarts_change_nothing() -> None:
    """Candles that wait on either side, held differences and counts are in the checkpoint."""
    values = []
    for restarts in (False, True):
        rig = Rig()
        opened(rig)
        for second in range(1, 200):
            rig.trades(second - 0.5, trade(second - 0.6))
            if second % 60 == 0:
                fields = VOLUMES | {"trades": 60, "volume": "60", "quote_volume": "600" if second < 100 else "601"}
                bought = {"taker_buy_volume": "60", "taker_buy_quote_volume": "600"}
                rig.klines(second + 5 * (second == 60), kline(second - 60, 60, "1m", **(fields | bought)))
            rig.tick(second)
            if restarts:
                rig.restart()
        values.append(rig.values)
        assert rig.counts("1m") == (1, 1, 0)
    assert values[0] == values[1]


def test_what_waits_is_bounded() -> None:
    """Of candles without a counterpart, the oldest are forgotten, by number and by time."""
    rig = Rig()
    opened(rig, "1s", 1)
    for second in range(1, 300):
        rig.trades(second - 0.5, trade(second - 0.6))
        rig.tick(second)
    assert len(rig.processor.reconciliation._ours) == 128
    rig.ticks(300, 302)
    rig.tick(902)
    assert rig.processor.reconciliation._ours == {}
    rig.klines(903, *(kline(start, 1, "1s", **VOLUMES) for start in range(1000, 1300)))
    assert len(rig.processor.reconciliation._theirs) == 128


def update(start: float, seconds: int, interval: str, **fields: Any) -> Candle:
    """Return an update of an exchange that does not mark the last one of a candle."""
    return replace(kline(start, seconds, interval, **fields), closed=None)


@pytest.mark.parametrize("restarts", [False, True])
def test_a_candle_that_the_exchange_closes_late(restarts: bool) -> None:
    """HTX and Deribit close the hour with the first trade of the next one. Ours does not wait that long."""
    rig = Rig(begins=-4_000)
    rig.klines(0, update(-3_600, 3_600, "1h", **NO_VOLUMES))
    rig.trades(1_800, trade(1_799.5))
    rig.klines(1_800, update(0, 3_600, "1h", **VOLUMES))
    rig.ticks(1_801, 4_300)
    if restarts:
        rig.restart()
    rig.trades(5_100, trade(5_099.5))
    rig.klines(5_100, update(3_600, 3_600, "1h", **VOLUMES))
    rig.ticks(5_101, 5_140)
    assert rig.differences() == []
    rig.trades(7_210, trade(7_209.5))
    rig.klines(7_210, update(7_200, 3_600, "1h", **VOLUMES))
    rig.ticks(7_211, 7_240)
    assert rig.counts("1h") == (1, 0, 0)
    assert rig.processor.reconciliation._theirs == {}


def test_a_candle_that_was_closed_before_any_of_the_exchange() -> None:
    """Ours has not waited: nobody knew that the exchange would send any."""
    rig = Rig()
    rig.trades(30, trade(29.5))
    rig.ticks(31, 64)
    rig.klines(64.5, update(0, 60, "1m", **VOLUMES))
    rig.klines(65, update(60, 60, "1m", **NO_VOLUMES))
    rig.ticks(65, 100)
    assert rig.differences() == []


def test_of_too_many_that_wait_none_counts_as_empty() -> None:
    """Those that gave way are not compared any more, the others are."""
    rig = Rig()
    opened(rig, "1s", 1)
    for second in range(1, 200):
        rig.trades(second - 0.5, trade(second - 0.6))
        rig.tick(second)
    rig.klines(200, *(kline(start, 1, "1s", **VOLUMES) for start in range(199)))
    rig.ticks(200, 230)
    assert rig.differences() == []
    assert rig.counts("1s") == (128 + 2, 0, 0)


def test_a_checkpoint_without_what_was_forgotten() -> None:
    """Earlier versions did not keep it."""
    rig = Rig()
    state = rig.processor.reconciliation.dump()
    del state["forgotten"]
    rig.processor.reconciliation.load(state)
    play(rig, first_minute())
    assert rig.counts("1m") == (1, 0, 0)


def test_a_delisted_instrument_compares_no_part_of_a_day_as_empty() -> None:
    """The day's candle is closed and forgotten long before the exchange closes its own."""
    rig = Rig()
    opened(rig, "1d", 86_400)
    rig.trades(30, trade(29.5))
    rig.marker(40, markers.Delisted(reason="gone"))
    rig.marker(50, markers.Subscribed(channels=["trades"]))
    rig.ticks(51, 700)
    rig.klines(86_400, kline(0, 86_400, "1d", **VOLUMES))
    rig.tick(86_410)
    rig.tick(86_430)
    assert rig.differences() == []
