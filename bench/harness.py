"""Run a case: ours and its rival or floor in turn, for several rounds; report medians and the ratio of the pairs."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

Timed = Callable[[], float]  # runs once and returns units per second of CPU time


@dataclass(frozen=True)
class Result:
    """Result of one comparison. `ours` and `other` are medians, `ratio` is the median of ours / other over the pairs.

    `other` is a rival, which does the same work, or a floor, which does only the work that cannot be avoided.
    `spread`: lowest and highest ratio.
    """

    name: str
    unit: str
    other_name: str
    is_rival: bool
    ours: float
    other: float
    ratio: float
    spread: tuple[float, float]

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of results.json."""
        return {
            "name": self.name,
            "unit": self.unit,
            "ours": self.ours,
            "rival": self.other if self.is_rival else None,
            "floor": None if self.is_rival else self.other,
            "against": self.other_name,
            "ratio": self.ratio,
            "spread": self.spread,
        }


def compare(
    name: str, unit: str, ours: Timed, other_name: str, other: Timed, rounds: int = 5, *, is_rival: bool = False
) -> Result:
    """Run ours and the other in turn and return the result. The first pair is a warm-up."""
    ours(), other()
    pairs = [(ours(), other()) for _ in range(rounds)]
    mine, theirs = zip(*pairs, strict=True)
    return from_pairs(name, unit, other_name, mine, theirs, is_rival=is_rival)


def from_pairs(
    name: str, unit: str, other_name: str, ours: Sequence[float], others: Sequence[float], *, is_rival: bool = False
) -> Result:
    """Return the result for values in any unit that were measured in pairs."""
    ratios = sorted(mine / other for mine, other in zip(ours, others, strict=True))
    spread = ratios[0], ratios[-1]
    return Result(name, unit, other_name, is_rival, median(ours), median(others), median(ratios), spread)


def per_second(units: int, work: Callable[[], object]) -> Timed:
    """Return a timed run of `work`, which handles `units`, in units per second of this process's CPU time."""

    def run() -> float:
        before = time.process_time()
        work()
        return units / (time.process_time() - before)

    return run
