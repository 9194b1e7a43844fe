"""Candles of trades: closed once by stream time, exact, the same in any order of arrival and over any restart."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import markers
from streams.normalize.messages import Trade
from tests.frames.binance import COINM
from tests.streams.trade_candles.rig import DAY, SECOND, Rig, brute_force, figures, trade

LENGTHS = {"1s": 1, "1m": 60, "5m": 300, "1h": 3600, "1d": 86_400}


def test_a_candle_closes_after_its_grace() -> None:
    """The first tick at which the grace has passed closes it; until then, trades correct it."""
    rig = Rig()
    rig.trades(10.1, trade(10.05, "10", "2"), trade(10.09, "12", "0.5", "sell"))
    rig.ticks(11, 12)
    assert rig.candles("1s") == []
    rig.trades(12.4, trade(10.5, "9", "1.25"))
    rig.tick(13)
    [candle] = rig.candles("1s")
    assert candle | {"source": "", "local_timestamp": 0} == {
        "source": "", "exchange": "binance", "symbol": "BTC-USDT", "timestamp": DAY + 10_500_000, "local_timestamp": 0,
        "origin": "trades", "contract": "", "interval": "1s", "start": DAY + 10 * SECOND, "end": DAY + 11 * SECOND,
        "open": "10", "high": "12", "low": "9", "close": "9", "volume": "3.75", "quote_volume": "37.25", "trades": 3,
        "taker_buy_volume": "3.25", "taker_buy_quote_volume": "31.25", "closed": True, "complete": True,
    }  # fmt: skip
    rig.ticks(14, 20)
    assert len(rig.candles("1s")) == 1


def test_the_time_is_that_of_the_exchange() -> None:
    """Where its clock is known to differ from ours, candles close by its time."""
    rig = Rig()
    rig.marker(0, markers.Clock(offset=-5 * SECOND, round_trip=1000))
    rig.trades(10.1, trade(5))
    rig.tick(12)
    assert rig.starts("1s") == []
    rig.tick(13)
    assert rig.starts("1s") == [5]


def test_a_running_candle_is_published_at_most_once_a_second() -> None:
    """Those of a minute every second, of longer ones less often, of a second never, and only if it has changed."""
    rig = Rig()
    for second in range(60):
        if second < 30:
            rig.trades(second + 0.5, trade(second + 0.4, str(10 + second)))
        rig.tick(second + 1)
    minutes = rig.candles("1m", closed=False)
    assert [body["close"] for body in minutes] == [str(10 + second) for second in range(30)]
    assert minutes[-1]["open"] == "10"
    assert minutes[-1]["trades"] == 30
    assert rig.candles("1s", closed=False) == []
    assert len(rig.candles("5m", closed=False)) == 7
    assert [len(rig.candles(each, closed=False)) for each in ("1h", "1d")] == [4, 4]


def test_starts_never_go_back() -> None:
    """The running candle is the one that is closed next, so a consumer that keeps the latest sees no candle twice."""
    rig = Rig()
    for second in range(50, 130):
        rig.trades(second + 0.5, trade(second + 0.4))
        rig.tick(second + 1)
    for interval in LENGTHS:
        starts = [body["start"] for body in rig.bodies("market.candles", interval=interval)]
        assert starts == sorted(starts)


def test_a_late_trade_changes_nothing() -> None:
    """It is counted, and longer candles that are open will not be complete."""
    rig = Rig()
    rig.trades(0.2, trade(0.1), trade(0.15))
    rig.ticks(1, 4)
    rig.trades(4.5, trade(0.12, "99"), trade(4.4))
    rig.ticks(5, 70)
    assert [body["trades"] for body in rig.candles("1s")] == [2, 1]
    [minute] = rig.candles("1m")
    assert (minute["high"], minute["trades"], minute["complete"]) == ("10", 3, False)
    assert rig.counts("1s") == (0, 0, 1)
    assert rig.counts("1m") == (0, 0, 0)


def test_a_trade_of_the_future_silences_nothing() -> None:
    """One beyond all clocks is left out and counted; one that is within an hour opens its own candle."""
    rig = Rig()
    rig.trades(0.1, trade(8_000, number=1), trade(30, number=2), trade(0.05, number=3))
    rig.ticks(1, 3)
    assert rig.starts("1s") == [0]
    for second in range(4, 40):
        rig.trades(second + 0.1, trade(second, number=second))
        rig.tick(second + 1)
    assert rig.starts("1s") == [0, *range(4, 38)]
    assert rig.candles("1s")[27]["trades"] == 2
    assert rig.counts("1s")[2] == 1


def test_what_is_open_is_bounded() -> None:
    """Of too many open candles, the furthest ahead give way."""
    rig = Rig()
    rig.trades(0.1, *(trade(2 * number + 1, number=number) for number in range(500, 0, -1)), trade(0.05, number=501))
    assert len(rig.processor.trade_candles._open) == 66
    rig.ticks(1, 200)
    assert rig.starts("1s") == [0, *(2 * number + 1 for number in range(1, 66))]
    assert rig.counts("1s")[2] == 500 - 65


@pytest.mark.parametrize("restarts", [False, True])
def test_candles_that_gave_way_are_not_complete(restarts: bool) -> None:
    """If their time comes, and with it other trades, those that were dropped are missing; and in no other candle."""
    rig = Rig()
    rig.trades(1, *(trade(number + 1.1, number=number) for number in range(100)))
    if restarts:
        rig.restart()
    for second in range(2, 190):
        rig.trades(second, trade(second - 0.5, number=second + 98))
        rig.tick(second)
    seconds = dict(zip(rig.starts("1s"), rig.candles("1s"), strict=True))
    assert [second for second, body in seconds.items() if not body["complete"]] == list(range(67, 101))
    assert {body["trades"] for second, body in seconds.items() if second < 67} == {2}
    assert [body["complete"] for body in rig.candles("1m")] == [True, False, True]


def test_a_candle_beyond_all_clocks_is_not_complete() -> None:
    """When its time comes. One without trades on the book loses none."""
    rig = Rig(candle_intervals=("1m",))
    rig.trades(0.1, trade(4_000), trade(4_100, kind="block"))
    rig.tick(1)
    for second in range(3_900, 4_200, 10):
        rig.trades(second + 0.1, trade(second))
        rig.tick(second + 1)
    assert [start for start, body in zip(rig.starts("1m"), rig.candles("1m"), strict=True) if not body["complete"]] == [
        3_960
    ]


@pytest.mark.parametrize("kind", ["insurance_fund", "adl", "block", "a_kind_of_tomorrow"])
def test_trades_off_the_book_do_not_count(kind: str) -> None:
    """A candle is made of the same trades as `trades.on_book`; liquidations are among them."""
    rig = Rig()
    rig.trades(0.5, trade(0.1), trade(0.2, "99", kind=kind), trade(0.3, "11", kind="liquidation_taker"))
    rig.trades(1.5, trade(1.1, "99", kind=kind))
    rig.ticks(2, 6)
    assert [(body["high"], body["trades"]) for body in rig.candles("1s")] == [("11", 2)]


def test_values_of_inverse_contracts_are_exact() -> None:
    """Their base amounts are rounded quotients, but three contracts of 100 dollars are worth 300 dollars."""
    rig = Rig(COINM)
    rig.trades(0.5, trade(0.1, "70000", "0.004285714285714286", exchange_amount="3"))
    rig.ticks(1, 3)
    [candle] = rig.candles("1s")
    assert (candle["volume"], candle["quote_volume"]) == ("0.004285714285714286", "300")


def test_what_fits_no_column_is_null() -> None:
    """A sum beyond twenty digits is not published, and crashes nothing."""
    rig = Rig()
    rig.trades(0.5, trade(0.1, "9" * 20, "9" * 20), trade(0.2, "0.000000000000000001", "0.000000000000000001"))
    rig.ticks(1, 3)
    [candle] = rig.candles("1s")
    assert (candle["low"], candle["high"]) == ("0.000000000000000001", "9" * 20)
    assert candle["volume"] == "9" * 20 + ".000000000000000001"
    assert candle["quote_volume"] is None


def test_days_begin_at_midnight_and_weeks_on_monday() -> None:
    """All of UTC."""
    rig = Rig(candle_intervals=("1h", "1d", "1w"))
    rig.trades(90_000, trade(90_000))
    rig.tick(90_000 + 8 * 86_400)
    [hour], [day], [week] = (rig.candles(name) for name in ("1h", "1d", "1w"))
    assert (hour["start"], day["start"]) == (DAY + 90_000 * SECOND, DAY + 86_400 * SECOND)
    assert week["start"] // SECOND % 604_800 == 4 * 86_400  # the epoch was a Thursday
    assert week["start"] <= day["start"] < week["end"] == week["start"] + 604_800 * SECOND


def test_no_intervals_no_candles() -> None:
    """An empty setting switches candles and comparisons off."""
    rig = Rig(candle_intervals=())
    rig.trades(0.1, trade(0.1))
    rig.marker(1, markers.Disconnected(channels=["trades"], reason=""))
    rig.marker(1, markers.Delisted(reason=""))
    rig.ticks(1, 200)
    rig.restart()
    assert rig.bodies("market.candles") == rig.bodies("market.quality") == []


def test_empty_intervals_carry_the_last_close() -> None:
    """With `carry`, there is a candle for every interval from the first trade on."""
    rig = Rig(candle_empty="carry")
    rig.trades(10.5, trade(10.5, "10", "3"))
    rig.ticks(11, 60)
    rig.trades(60.5, trade(60.5, "12"))
    rig.ticks(61, 130)
    assert rig.starts("1s") == list(range(10, 128))
    carried = rig.candles("1s")[1]
    assert figures(carried) == dict.fromkeys(figures(carried), 0) | dict.fromkeys(("open", "high", "low", "close"), 10)
    assert carried["complete"]
    assert carried["timestamp"] == carried["end"]
    assert [(body["open"], body["trades"]) for body in rig.candles("1m")] == [("10", 1), ("12", 1)]
    rig.ticks(131, 190)
    assert [(body["open"], body["trades"]) for body in rig.candles("1m")][2:] == [("12", 0)]


def test_a_long_break_is_not_carried() -> None:
    """After more than 600 intervals without a tick, the market was not watched."""
    rig = Rig(candle_empty="carry")
    rig.trades(0.5, trade(0.5))
    rig.tick(4)
    rig.tick(7_300)
    assert len(rig.candles("1s")) == 2
    assert len(rig.candles("1m")) == 121
    rig.ticks(7_301, 7_303)
    assert rig.starts("1s")[2:] == [7298, 7299, 7300]


# What is missing


def test_the_start_of_the_coverage() -> None:
    """Candles that had begun before the subscription are not complete."""
    rig = Rig(begins=30.5)
    rig.trades(30.8, trade(30.7))
    for second in range(31, 130):
        rig.trades(second + 0.5, trade(second + 0.4))
        rig.tick(second + 1)
    rig.ticks(131, 310)
    assert [body["complete"] for body in rig.candles("1s")] == [False, *[True] * 99]
    assert [body["complete"] for body in rig.candles("1m")] == [False, True, True]
    assert [body["complete"] for body in rig.candles("5m")] == [False]


def test_a_replay_without_markers_begins_with_its_first_trade() -> None:
    """The candles until the tick that follows it are not complete."""
    rig = Rig(begins=None)
    for second in range(30, 34):
        rig.trades(second + 0.5, trade(second + 0.4))
        rig.tick(second + 1)
    rig.ticks(35, 40)
    assert [body["complete"] for body in rig.candles("1s")] == [False, False, True, True]


OUTAGES: dict[str, Any] = {
    "disconnected": markers.Disconnected(channels=["trades"], reason="1006"),
    "stopped": markers.Stopped(channels=["trades"], reason=""),
    "lost": markers.Lost(frames=3, reason="the broker is away"),
    "absent": None,
    "skipped": None,
    "connected": markers.Connected(channels=["trades"]),  # by another ingest: the last one has died
}


@pytest.mark.parametrize("cause", OUTAGES)
def test_an_outage(cause: str) -> None:
    """Candles from the last trade before it until trades are delivered again are not complete, also empty ones."""
    rig = Rig()
    rig.trades(61.5, trade(61.4))
    rig.tick(62)
    out = rig._out(62.5)
    if cause == "absent":
        rig.processor.on_absent(out, 4 * SECOND)
    elif cause == "skipped":
        rig.processor.on_skipped(out, "a bug")
    else:
        rig.processor.on_marker(out, OUTAGES[cause])
    rig.ticks(63, 130)
    rig.marker(130.5, markers.Subscribed(channels=["trades"]))
    rig.trades(130.8, trade(130.7))
    rig.ticks(131, 132)
    rig.trades(132.5, trade(132.4))
    rig.ticks(133, 200)
    rig.trades(200.5, trade(200.4))
    rig.ticks(201, 250)
    assert {start: body["complete"] for start, body in zip(rig.starts("1s"), rig.candles("1s"), strict=True)} == {
        61: False, 130: False, 132: True, 200: True,
    }  # fmt: skip
    assert [body["complete"] for body in rig.candles("1m")] == [False, False, True]


def test_a_hole_in_the_ids() -> None:
    """Trades that do not arrive make their candles incomplete; if they arrive in time, nothing is missing."""
    rig = Rig()
    for second in range(10):
        number = second + (second >= 3) + 2 * (second >= 6)  # 3 is missing, and 7 and 8
        rig.trades(second + 0.5, trade(second + 0.4, number=number))
        if second == 7:
            rig.trades(7.6, trade(5.7, number=7), trade(5.8, number=8))
        rig.tick(second + 1)
    rig.ticks(11, 70)
    missing = {2: False, 3: False}
    assert {start: body["complete"] for start, body in zip(rig.starts("1s"), rig.candles("1s"), strict=True)} == {
        second: missing.get(second, True) for second in range(10)
    }
    assert [body["complete"] for body in rig.candles("1m")] == [False]


def test_ids_that_start_over() -> None:
    """Nobody knows which trades are missing before the restart."""
    rig = Rig()
    rig.trades(1.5, trade(1.4, number=9_000_000))
    rig.trades(3.5, trade(3.4, number=5))
    rig.trades(5.5, trade(5.4, number=6))
    rig.ticks(2, 70)
    assert [body["complete"] for body in rig.candles("1s")] == [False, False, True]
    assert [body["complete"] for body in rig.candles("1m")] == [False]


def test_a_delisted_instrument_closes_its_candles() -> None:
    """Their last trades may be missing."""
    rig = Rig()
    rig.trades(1.5, trade(1.4))
    rig.tick(2)
    rig.marker(2.5, markers.Delisted(reason="gone"))
    for interval in LENGTHS:
        assert [body["complete"] for body in rig.candles(interval)] == [False]


def trade_every(rig: Rig, step: int, first: int, last: int) -> None:
    for second in range(first, last, step):
        rig.trades(second, trade(second - 0.2))
        rig.tick(second + 1)


def relist(rig: Rig, second: float) -> None:
    rig.marker(second, markers.Definition(rig.processor.instrument))
    rig.marker(second, markers.Connected(channels=["trades"]))
    rig.marker(second, markers.Subscribed(channels=["trades"]))


def test_a_delisting_closes_every_interval_once() -> None:
    """Also those whose shorter candles were closed before, and had not reached them yet."""
    rig = Rig()
    rig.trades(30, trade(29.5))
    rig.ticks(31, 70)
    rig.marker(71, markers.Delisted(reason="gone"))
    rig.marker(72, markers.Delisted(reason="gone"))
    rig.ticks(73, 80)
    rig.tick(2 * 86_400)
    for interval in LENGTHS:
        assert rig.starts(interval) == [29 if interval == "1s" else 0]


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("empty", ["skip", "carry"])
def test_a_relisted_instrument_has_candles_again(restarts: bool, empty: str) -> None:
    """Those that the delisting closed before their end stay as they are; the next ones have all trades."""
    rig = Rig(candle_empty=empty)
    trade_every(rig, 30, 10, 7_230)
    rig.marker(7_221, markers.Delisted(reason="missing from two listings"))
    if restarts:
        rig.restart()
    relist(rig, 7_800)
    trade_every(rig, 20, 7_810, 14_500)
    trade_every(rig, 20, 86_410, 87_000)
    rig.tick(2 * 86_400 + 10)
    for interval in LENGTHS:
        events = rig.bodies("market.candles", interval=interval)
        starts = [body["start"] for body in events]
        assert starts == sorted(starts)
        assert len(rig.starts(interval)) == len(set(rig.starts(interval)))
    built = {
        interval: [
            (start, body["trades"], body["complete"])
            for start, body in zip(rig.starts(interval), rig.candles(interval), strict=True)
            if body["trades"]
        ]
        for interval in LENGTHS
    }
    minutes = [each for each in built["1m"] if 7_200 < each[0] < 86_400]
    assert minutes == [(7_800, 3, False), *((start, 3, True) for start in range(7_860, 14_460, 60)), (14_460, 2, True)]
    assert built["1h"][2:] == [(7_200, 1, False), (10_800, 180, True), (14_400, 5, True), (86_400, 30, True)]
    assert built["1d"] == [(0, 241, False), (86_400, 30, True)]
    assert rig.counts("1s")[2] == 0


def test_trades_of_a_second_that_the_delisting_closed_are_late() -> None:
    """A renamed instrument is delisted and listed at once."""
    rig = Rig()
    rig.trades(30.3, trade(30.2))
    rig.marker(30.4, markers.Delisted(reason="renamed"))
    relist(rig, 30.4)
    rig.trades(30.7, trade(30.6))
    trade_every(rig, 1, 31, 130)
    rig.ticks(131, 140)
    assert rig.starts("1s") == list(range(30, 129))
    assert [body["trades"] for body in rig.candles("1s")] == [1] * 99
    assert [(body["trades"], body["complete"]) for body in rig.candles("1m")] == [(1, False), (60, True)]
    assert rig.counts("1s")[2] == 2


def test_a_step_of_our_clock() -> None:
    """Candles are in the exchange's time: only when running ones are published again depends on ours."""
    rig = Rig()
    rig.trades(100.5, trade(100.4))
    rig.tick(101)
    out = rig._out(51)
    rig.processor.on_clock_step(out, -50 * SECOND)
    rig.marker(51, markers.Clock(offset=50 * SECOND, round_trip=0))
    rig.trades(51.5, trade(101.4))
    rig.ticks(52, 60)
    assert rig.starts("1s") == [100, 101]
    assert [body["complete"] for body in rig.candles("1s")] == [True, True]
    assert [body["trades"] for body in rig.candles("1m", closed=False)] == [1, 2]


# Any order, any restart

PRICES = st.integers(1, 10**9).map(lambda n: f"{n // 100}.{n % 100:02}")
AMOUNTS = st.integers(1, 10**6).map(lambda n: f"{n}e-5").map(lambda text: f"{float(text):.5f}")
TRADES = st.lists(
    st.tuples(st.integers(0, 4 * SECOND), st.integers(0, 1_900_000), PRICES, AMOUNTS, st.sampled_from(["buy", "sell"])),
    min_size=1,
    max_size=40,
)


def arrivals(rows: list[tuple[int, int, str, str, str]]) -> list[tuple[int, Trade]]:
    """Return trades with the time of their receipt, which is up to the grace later, in the order of arrival."""
    sent = sorted(rows)
    trades = [
        (stamp + delay, Trade(DAY + stamp, str(number), price, amount, side, first=number, last=number))
        for number, (stamp, delay, price, amount, side) in enumerate(sent)
    ]
    return sorted(trades, key=lambda each: each[0])


def play(rig: Rig, trades: list[tuple[int, Trade]], restarts: set[int] = frozenset()) -> None:  # type: ignore[assignment]
    due = 0
    for step, (at, each) in enumerate(trades):
        while due <= at:
            rig.tick(due / SECOND)
            due += SECOND
        rig.trades(at / SECOND, each)
        if step in restarts:
            rig.restart()
    for second in range(due // SECOND, due // SECOND + 8):
        rig.tick(second)
    rig.tick(400)
    rig.tick(86_500)


@settings(max_examples=60, deadline=None)
@given(TRADES)
def test_the_order_of_arrival_does_not_matter(rows: list[tuple[int, int, str, str, str]]) -> None:
    """Within the grace, every candle is exact in every digit, and closed exactly once."""
    rig = Rig()
    trades = arrivals(rows)
    play(rig, trades)
    for interval, seconds in LENGTHS.items():
        closed = rig.candles(interval)
        expected = brute_force([each for _, each in trades], seconds)
        assert {body["start"]: figures(body) for body in closed} == expected
        assert len(closed) == len(expected)
    assert rig.counts("1s")[2] == 0


@settings(max_examples=40, deadline=None)
@given(TRADES, st.integers(1, 40))
def test_sums_of_shorter_candles_are_the_longer_ones(rows: list[tuple[int, int, str, str, str]], late: int) -> None:
    """Whatever is late: a trade is in the candles of all intervals, or in none."""
    rig = Rig(candle_grace_ms=300)
    trades = arrivals([(stamp, delay * late // 10, *rest) for stamp, delay, *rest in rows])  # type: ignore[misc]
    play(rig, trades)
    for shorter, longer in zip(LENGTHS, list(LENGTHS)[1:], strict=False):
        for body in rig.candles(longer):
            parts = [figures(each) for each in rig.candles(shorter) if body["start"] <= each["start"] < body["end"]]
            total = figures(body)
            assert total["open"] == parts[0]["open"]
            assert total["close"] == parts[-1]["close"]
            assert total["high"] == max(part["high"] for part in parts)
            assert total["low"] == min(part["low"] for part in parts)
            for name in ("volume", "quote_volume", "trades", "taker_buy_volume", "taker_buy_quote_volume"):
                assert total[name] == sum(part[name] for part in parts)
    kept = sum(body["trades"] for body in rig.candles("1s"))
    assert kept + rig.counts("1s")[2] == len(trades)


@settings(max_examples=40, deadline=None)
@given(TRADES, st.sets(st.integers(0, 40)), st.sampled_from(["skip", "carry"]))
def test_restarts_change_nothing(rows: list[tuple[int, int, str, str, str]], restarts: set[int], empty: str) -> None:
    """A worker that goes on from a checkpoint publishes the same bytes."""
    trades = arrivals([(stamp, 3 * delay, *rest) for stamp, delay, *rest in rows])  # type: ignore[misc]
    undisturbed, restarted = Rig(candle_empty=empty), Rig(candle_empty=empty)
    play(undisturbed, trades)
    play(restarted, trades, restarts)
    assert restarted.values == undisturbed.values


def test_other_intervals_begin_anew() -> None:
    """A checkpoint of other intervals is not used, and the candles that are open then are not complete."""
    rig = Rig()
    rig.trades(0.5, trade(0.4))
    rig.tick(1)
    rig.settings = rig.settings.model_copy(update={"candle_intervals": ("1m",)})
    rig.restart()
    rig.trades(30.5, trade(30.4))
    rig.ticks(31, 70)
    assert [(body["trades"], body["complete"]) for body in rig.candles("1m")] == [(1, False)]


def test_trades_without_numbers() -> None:
    """HTX's ids only grow; other ids keep the order of arrival."""
    for ids, expected in ((("100", "99", "101"), ("11", "12")), (("b", "a", "c"), ("10", "12"))):
        rig = Rig()
        for unique, price in zip(ids, ("10", "11", "12"), strict=True):
            rig.trades(0.5, Trade(DAY + SECOND // 2, unique, price, "1", "buy"))
        rig.ticks(1, 4)
        [candle] = rig.candles("1s")
        assert (candle["open"], candle["close"]) == expected
