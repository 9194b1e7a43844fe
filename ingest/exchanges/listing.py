"""What an exchange lists, and how the fields of an entry are read: an odd one raises, it is never guessed."""

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from schemas.instruments import Instrument

_DIGITS = 40  # before or behind the point: more is no price, amount or size


class Listing(dict[str, Instrument]):
    """Instruments by canonical symbol.

    `skipped`: the exchange's names of entries that are listed and could not be used. `sizes`: the number of all entries
    by what was asked for, selected or not.
    """

    def __init__(self, found: Mapping[str, Instrument] | Iterable[tuple[str, Instrument]] = ()) -> None:
        super().__init__(found)
        self.skipped: set[str] = set()
        self.sizes: Counter[str] = Counter()


def text(entry: Any, field: str) -> str:
    """A field that must be a text and not empty; `ValueError` or `KeyError` otherwise."""
    value = entry[field]
    if type(value) is not str or not value:
        raise ValueError(f"{field} is {value!r}")
    return value


def optional_text(entry: Any, field: str) -> str:
    """A field that may be missing, null or empty, but nothing else than a text."""
    value = entry.get(field) or ""
    if type(value) is not str:
        raise ValueError(f"{field} is {value!r}")
    return value


def number(entry: Any, field: str) -> Decimal:
    """A field that must be a number above zero, written as a number or a text."""
    value = entry[field]
    if type(value) not in (str, int, float):
        raise ValueError(f"{field} is {value!r}")
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"{field} is {value!r}") from None
    if not found.is_finite() or found <= 0 or abs(found.adjusted()) > _DIGITS:
        raise ValueError(f"{field} is {value!r}")
    return found


def plain(value: Decimal) -> str:
    """`0.01000000` → `0.01`, `1E-5` → `0.00001`."""
    return f"{value.normalize():f}"


def unit(entry: Any, field: str) -> str:
    """A number of decimals as the unit that it stands for: 2 → `0.01`."""
    decimals = entry[field]
    if type(decimals) is not int or not 0 <= decimals <= _DIGITS:
        raise ValueError(f"{field} is {decimals!r}")
    return plain(Decimal(1).scaleb(-decimals))
