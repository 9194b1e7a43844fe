"""Candles are sent while they run, and once when they have ended."""

from marketprism.simulator.exchanges.binance.candles import INTERVALS, RunningCandles
from schemas.intervals import end_of
from tests.simulator.market.figures import START_MS, candles_of, listing_of

MINUTE = 60_000
BEGIN = START_MS // MINUTE * MINUTE + MINUTE


def test_each_ended_candle_is_due_once() -> None:
    """All that have ended since the last call are closed, oldest first, unless that was long ago."""
    running = RunningCandles(candles_of(listing_of("binance-spot", "BTC-USDT")), INTERVALS["1m"])

    def due(now: int) -> list[tuple[int, bool]]:
        return [(each.start - BEGIN, each.closed) for each in running.due(now)]

    assert due(BEGIN) == [(0, False)]
    assert due(BEGIN + MINUTE - 1) == [(0, False)]
    assert due(BEGIN + MINUTE + 5) == [(0, True), (MINUTE, False)]
    assert due(BEGIN + MINUTE + 5) == [(MINUTE, False)]
    assert due(BEGIN + 9 * MINUTE) == [(9 * MINUTE, False)]


def test_short_candles_are_not_left_out() -> None:
    """A call that comes late catches up."""
    running = RunningCandles(candles_of(listing_of("binance-spot", "BTC-USDT")), INTERVALS["1s"])
    running.due(BEGIN)
    assert [each.start - BEGIN for each in running.due(BEGIN + 3000)] == [0, 1000, 2000, 3000]


def test_intervals_end_as_ours_do() -> None:
    """Each interval ends where the pipeline says that it does."""
    for name, interval in INTERVALS.items():
        start, end = interval(START_MS)
        assert start <= START_MS < end
        assert end_of(start * 1000, name) == end * 1000
