"""Exact arithmetic, sized for the columns that its results go to: `Decimal(38, 18)`.

Python's default context rounds to 28 digits and raises where more are needed: it is never used here. A product of two
columns has 76 digits; fees, sums and quotients take some more.
"""

from decimal import Context, Decimal

from schemas.errors import RangeError

INTEGERS, DECIMALS = 20, 18  # digits of a column before and behind the point

EXACT = Context(prec=160)
LEAST = Decimal(1).scaleb(-DECIMALS, EXACT)
_LARGEST = Decimal(1).scaleb(INTEGERS, EXACT)


def fitted(value: Decimal) -> Decimal:
    """A result rounded to what a column holds behind the point; `RangeError` where it has too much before it."""
    if value.is_finite() and value.adjusted() < INTEGERS:
        rounded = value.quantize(LEAST, context=EXACT)
        if abs(rounded) < _LARGEST:
            return rounded
    raise RangeError(f"out of range: {value:.6e} has more than {INTEGERS} digits before the point")


def plain(value: Decimal) -> str:
    """A decimal in plain notation, without zeros behind the last digit."""
    return format(value.normalize(EXACT), "f")
