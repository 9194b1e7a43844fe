"""Rolling statistics of a spread."""

from streams.arbitrage.statistics import SpreadStatistics
from tests.streams.arbitrage.helpers import T0


def test_statistics_of_a_steady_spread() -> None:
    """A steady spread is its own mean, and has no deviation."""
    statistics = SpreadStatistics()
    for number in range(100):
        statistics.add(T0 + number * 100_000, 5.0)
        statistics.add(T0 + number * 100_000 + 1, 99.0)  # too soon after the last sample to count
    described = statistics.describe(5.0)
    assert described["spread_mean_bps"] == 5.0
    assert described["spread_stdev_bps"] == 0.0
    assert described["spread_count"] == 100
