"""Exact arithmetic, sized for the columns that its results are stored in: `Decimal(38, 18)`.

Python's default context rounds to 28 digits, and raises if more are needed, so it is never used here. A product of two
columns has 76 digits; fees, sums and quotients need a few more.
"""

from decimal import Context, Decimal

from schemas.errors import RangeError

INTEGERS, DECIMALS = 20, 18  # digits of a column before and after the point

EXACT = Context(prec=160)
LEAST = Decimal(1).scaleb(-DECIMALS, EXACT)
_LARGEST = Decimal(1).scaleb(INTEGERS, EXACT)


def fitted(value: Decimal) -> Decimal:
    """Round a result to a column's decimal places. Raise `RangeError` if it has too many digits before the point."""
    if value.is_finite() and value.adjusted() < INTEGERS:
        rounded = value.quantize(LEAST, context=EXACT)
        if abs(rounded) < _LARGEST:
            return rounded
    raise RangeError(f"out of range: {value:.6e} has more than {INTEGERS} digits before the point")


def plain(value: Decimal) -> str:
    """Return a decimal in plain notation, without trailing zeros."""
    return format(value.normalize(EXACT), "f")
