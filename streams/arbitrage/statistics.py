"""Keep rolling statistics of a pair's spread, to tell how unusual the current one is."""

from math import exp, sqrt
from typing import Any

_MEMORY = 300_000_000  # µs, the time constant
_SAMPLE_EVERY = 100_000  # µs


class SpreadStatistics:
    """Rolling mean and deviation of a pair's gross spread, weighted towards the last five minutes.

    Samples are taken at 10 Hz at most.
    """

    __slots__ = ("at", "count", "mean", "variance")

    def __init__(self, at: int = 0, count: int = 0, mean: float = 0.0, variance: float = 0.0) -> None:
        self.at = at
        self.count = count
        self.mean = mean
        self.variance = variance

    def add(self, now: int, spread: float) -> None:
        """Take a sample, unless the last one is too recent. `now`: µs; `spread`: basis points."""
        elapsed = now - self.at
        if elapsed < _SAMPLE_EVERY:
            return
        weight = max(1 - exp(-elapsed / _MEMORY), 1 / (self.count + 1))  # a plain mean while samples are few
        off = spread - self.mean
        self.mean += weight * off
        self.variance = (1 - weight) * (self.variance + weight * off * off)
        self.count += 1
        self.at = now

    def describe(self, spread: float) -> dict[str, Any]:
        """Return the statistics as a signal's fields, and how unusual `spread` is."""
        deviation = sqrt(self.variance)
        return {
            "spread_mean_bps": round(self.mean, 4),
            "spread_stdev_bps": round(deviation, 4),
            "spread_zscore": round((spread - self.mean) / deviation, 4) if deviation else 0.0,
            "spread_count": self.count,
        }

    def dump(self) -> list[Any]:
        """Return the state for a checkpoint."""
        return [self.at, self.count, self.mean, self.variance]
