"""Running a case: ours and its rival or floor in turn, several rounds, medians and the ratio of the pairs."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

Timed = Callable[[], float]  # runs once and returns units per second of CPU


@dataclass(frozen=True)
class Result:
    """`ratio` is ours / other, the median over pairs; `spread` their lowest and highest. Rates are medians.

    `other` is a rival, which does the same, or a floor, which does only what cannot be left out.
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
    """Run ours and the other alternately; the first pair only warms up."""
    ours(), other()
    pairs = [(ours(), other()) for _ in range(rounds)]
    mine, theirs = zip(*pairs, strict=True)
    return paired(name, unit, other_name, mine, theirs, is_rival=is_rival)


def paired(
    name: str, unit: str, other_name: str, ours: Sequence[float], others: Sequence[float], *, is_rival: bool = False
) -> Result:
    """Of values that were measured in pairs, whatever their unit: medians of both, and of the ratios of the pairs."""
    ratios = sorted(mine / other for mine, other in zip(ours, others, strict=True))
    spread = ratios[0], ratios[-1]
    return Result(name, unit, other_name, is_rival, median(ours), median(others), median(ratios), spread)


def per_second(units: int, work: Callable[[], object]) -> Timed:
    """A timed run of `work`, which handles `units`: units per second of this process's CPU."""

    def run() -> float:
        before = time.process_time()
        work()
        return units / (time.process_time() - before)

    return run
