"""Running a case: ours and its floor in turn, several rounds, medians and the ratio of the pairs."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

Timed = Callable[[], float]  # runs once and returns units per second of CPU


@dataclass(frozen=True)
class Result:
    """`ratio` is ours / floor, the median over pairs; `spread` their lowest and highest. Rates are medians."""

    name: str
    unit: str
    floor_name: str
    ours: float
    floor: float
    ratio: float
    spread: tuple[float, float]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def compare(name: str, unit: str, ours: Timed, floor_name: str, floor: Timed, rounds: int = 5) -> Result:
    """Run ours and the floor alternately; the first pair only warms up."""
    ours(), floor()
    pairs = [(ours(), floor()) for _ in range(rounds)]
    ratios = sorted(mine / least for mine, least in pairs)
    return Result(
        name,
        unit,
        floor_name,
        median(mine for mine, _ in pairs),
        median(least for _, least in pairs),
        median(ratios),
        (ratios[0], ratios[-1]),
    )


def per_second(units: int, work: Callable[[], object]) -> Timed:
    """A timed run of `work`, which handles `units`: units per second of this process's CPU."""

    def run() -> float:
        before = time.process_time()
        work()
        return units / (time.process_time() - before)

    return run
