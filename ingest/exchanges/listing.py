"""Listing of an exchange, and readers for the fields of its entries, which raise rather than guess."""

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from schemas.instruments import Instrument

_MAX_DIGITS = 40  # before or after the point: no price, amount or size has more


class Listing(dict[str, Instrument]):
    """Selected instruments of an exchange's listing, by canonical symbol.

    `skipped`: the exchange's names of listed entries that cannot be used. `sizes`: the number of all entries, selected
    or not, by query. `others`: the canonical symbols of the entries that are not selected.
    """

    def __init__(self, found: Mapping[str, Instrument] | Iterable[tuple[str, Instrument]] = ()) -> None:
        super().__init__(found)
        self.skipped: set[str] = set()
        self.sizes: Counter[str] = Counter()
        self.others: list[str] = []


def text(entry: Any, field: str) -> str:
    """Read a field that must be a string and not empty. `ValueError` or `KeyError` otherwise."""
    value = entry[field]
    if type(value) is not str or not value:
        raise ValueError(f"{field} is {value!r}")
    return value


def optional_text(entry: Any, field: str) -> str:
    """Read a string that may be missing, null or empty. `ValueError` for any other type."""
    value = entry.get(field) or ""
    if type(value) is not str:
        raise ValueError(f"{field} is {value!r}")
    return value


def number(entry: Any, field: str) -> Decimal:
    """Read a field that must be a number above zero, written as a number or a string. `ValueError` otherwise."""
    value = entry[field]
    if type(value) not in (str, int, float):
        raise ValueError(f"{field} is {value!r}")
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"{field} is {value!r}") from None
    if not found.is_finite() or found <= 0 or abs(found.adjusted()) > _MAX_DIGITS:
        raise ValueError(f"{field} is {value!r}")
    return found


def plain(value: Decimal) -> str:
    """Format without exponent or trailing zeros: `0.01000000` → `0.01`, `1E-5` → `0.00001`."""
    return f"{value.normalize():f}"


def unit(entry: Any, field: str) -> str:
    """Read a number of decimals as the unit that it stands for: 2 → `0.01`. `ValueError` for anything else."""
    decimals = entry[field]
    if type(decimals) is not int or not 0 <= decimals <= _MAX_DIGITS:
        raise ValueError(f"{field} is {decimals!r}")
    return plain(Decimal(1).scaleb(-decimals))
