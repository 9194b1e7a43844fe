"""Contracts to base units, exactly: amounts stay decimal strings."""

from decimal import Decimal
from functools import lru_cache

from schemas.errors import FrameError, RangeError
from schemas.instruments import Instrument
from streams.decimals import DECIMALS, EXACT, INTEGERS, fitted, plain
from streams.levels import Level, Levels, level_of, texts_of
from streams.normalize.events import CheckedLevels
from streams.normalize.values import positive

# Base units that floats tell to fit a column for sure.
_LEAST, _MOST = 10.0 ** (1 - DECIMALS), 10.0 ** (INTEGERS - 1)


def base_amount(instrument: Instrument, price: str, amount: str) -> str:
    """An amount in the exchange's units as base units: x contract size, / price when inverse.

    `RangeError` where the result does not fit a column, `FrameError` where the contract size is none.
    """
    if instrument.contract_size == "1" and not instrument.inverse:
        return amount
    return _converted(amount, instrument.contract_size, price if instrument.inverse else "")


def base_levels(instrument: Instrument, side: Levels) -> Levels:
    """A side's levels with their amounts in base units; of levels that `check_convertible` has let through."""
    if instrument.contract_size == "1" and not instrument.inverse:
        return side
    return [_base_level(level, instrument.contract_size, instrument.inverse) for level in side]


def check_convertible(instrument: Instrument, *sides: CheckedLevels) -> None:
    """Make sure that `base_levels` can convert these sides, before a book holds them; raises as `base_amount` does."""
    if instrument.contract_size == "1" and not instrument.inverse:
        return
    size = _size_as_float(instrument.contract_size)
    for side in sides:
        if not _surely_fit(side, size, instrument.inverse):
            base_levels(instrument, side.levels)


def _surely_fit(side: CheckedLevels, size: float, inverse: bool) -> bool:
    amounts = [amount for _, amount in side.numbers if amount]
    if not amounts:
        return True
    least, most = min(amounts) * size, max(amounts) * size
    if inverse:
        prices = [price for price, _ in side.numbers]
        least, most = least / max(prices), most / min(prices)
    return least > _LEAST and most < _MOST


@lru_cache(maxsize=65536)
def _base_level(level: Level, contract_size: str, inverse: bool) -> Level:
    price, amount = texts_of(level)
    return level_of(price, _converted(amount, contract_size, price if inverse else ""))


@lru_cache(maxsize=65536)
def _converted(amount: str, contract_size: str, price: str) -> str:
    value = EXACT.multiply(Decimal(amount), _size(contract_size))
    if price:
        value = EXACT.divide(value, Decimal(price))
    base = fitted(value)
    if value and not base:  # in a book it would delete the level
        raise RangeError(f"out of range: less than {10.0**-DECIMALS:g} base units")
    return plain(base)


@lru_cache(maxsize=1024)
def _size(contract_size: str) -> Decimal:
    try:
        return Decimal(positive(contract_size))
    except (FrameError, ValueError):
        raise FrameError(f"the contract size is unknown: {contract_size!r:.60}") from None


@lru_cache(maxsize=1024)
def _size_as_float(contract_size: str) -> float:
    return float(_size(contract_size))
