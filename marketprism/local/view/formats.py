"""Write figures in few characters, without ever cutting one."""

import math
from collections.abc import Iterable, Sequence

_COUNTS = ((1e3, "k"), (1e6, "M"), (1e9, "G"))
_MOST_DECIMALS = 12  # to which prices of one instrument are padded; longer ones stay as they are
_DURATIONS = ((119.5, 1, "s"), (7170, 60, "min"), (172_000, 3600, "h"))  # below, seconds per unit, unit


def matches(filtered: str, *texts: str) -> bool:
    """Return whether one of the texts contains the filter, which is in upper case."""
    return any(filtered in text.upper() for text in texts)


def count(number: float) -> str:
    """Write a number in at most six characters: 999, 1.2k, 3.4M."""
    if abs(number) < 999.5:
        return f"{number:.0f}"
    scale, unit = next((each for each in _COUNTS if abs(number) < each[0] * 999.95), _COUNTS[-1])
    return f"{number / scale:.1f}{unit}"


def duration(seconds: float) -> str:
    """Write a duration: 350 ms, 1.5 s, 42 s, 5 min, 3 h, 12 d. A negative one, of clocks that differ, is 0."""
    if seconds <= 0:
        return "0 s"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    for below, scale, unit in _DURATIONS:
        if seconds < below:
            return f"{seconds / scale:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def bps(value: float) -> str:
    """Write basis points. A value that is not 0 never looks like 0."""
    if 0 < abs(value) < 0.05:
        return "<0.1" if value > 0 else ">-0.1"
    return f"{value:.1f}" if abs(value) < 999.95 else count(value)


def money(amount: float) -> str:
    """Write an amount of any currency: with two decimals, or with three digits if it is small."""
    if abs(amount) >= 99_999.995:
        return count(amount)
    return f"{amount:,.2f}" if abs(amount) >= 0.995 or not amount else small(amount)


def size(amount: float) -> str:
    """Write an amount of base units with about three digits."""
    if abs(amount) >= 999.5:
        return count(amount)
    return small(amount) if amount else "0"


def small(number: float) -> str:
    """Write a number below 1000, other than 0, with three digits, and without an exponent."""
    decimals = max(2 - math.floor(math.log10(abs(number))), 0)
    text = f"{number:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if decimals else text


def prices(texts: Iterable[str]) -> list[str]:
    """Write the prices of one instrument, exactly, with the same number of decimals. An empty text stays empty."""
    parts = [text.partition(".") for text in texts]
    fractions = [fraction.rstrip("0") for _, _, fraction in parts]
    decimals = min(max(map(len, fractions), default=0), _MOST_DECIMALS)
    return [
        f"{whole}.{fraction.ljust(decimals, '0')}" if whole and decimals else whole
        for (whole, _, _), fraction in zip(parts, fractions, strict=True)
    ]


def severity(value: float, limits: Sequence[float]) -> str:
    """Return the colour of a value: green below the first limit, red from the second on."""
    return "green" if value < limits[0] else "yellow" if value < limits[1] else "red"
