"""A result of values that were measured in pairs, whatever their unit: milliseconds, megabytes, seconds."""

from collections.abc import Sequence
from statistics import median

from bench.cases import Result


def paired(
    name: str, unit: str, other_name: str, ours: Sequence[float], others: Sequence[float], *, is_rival: bool = False
) -> Result:
    """Medians of both, and of the ratios of ours to the other of the same round."""
    ratios = sorted(mine / other for mine, other in zip(ours, others, strict=True))
    spread = ratios[0], ratios[-1]
    return Result(name, unit, other_name, is_rival, median(ours), median(others), median(ratios), spread)
