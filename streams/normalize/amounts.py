"""Contracts to base units, exactly: amounts stay decimal strings."""

from decimal import Decimal
from functools import lru_cache

from schemas.errors import FrameError
from schemas.instruments import Instrument
from streams.decimals import EXACT, LEAST, fitted, plain
from streams.levels import Level, Levels, level_of, texts_of
from streams.normalize.messages import CheckedLevels
from streams.normalize.numbers import positive

_MODEST_SIZE = 100.0  # with which modest amounts and prices fit
_LARGEST = 1e19  # base units: surely fewer than a column holds


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


def check_convertible(instrument: Instrument, bids: CheckedLevels, asks: CheckedLevels) -> None:
    """Make sure that `base_levels` can convert both sides, before a book holds them; raises as `base_amount` does."""
    if instrument.contract_size == "1" and not instrument.inverse:
        return
    size = _size_in_floats(instrument.contract_size)
    if bids.modest and asks.modest and size <= _MODEST_SIZE:
        return  # as nearly always
    for side in (bids, asks):
        if side.numbers and _largest(side, instrument.inverse) * size >= _LARGEST:
            base_levels(instrument, side.levels)


@lru_cache(maxsize=1024)
def _size_in_floats(contract_size: str) -> float:
    return float(_size(contract_size))


def _largest(side: CheckedLevels, inverse: bool) -> float:
    """No amount of the side is larger, in contracts or, where they are inverse, in contracts at a price of one."""
    most = max(amount for _, amount in side.numbers)
    return most / min(price for price, _ in side.numbers) if inverse else most


@lru_cache(maxsize=65536)
def _base_level(level: Level, contract_size: str, inverse: bool) -> Level:
    price, amount = texts_of(level)
    return level_of(price, _converted(amount, contract_size, price if inverse else ""))


@lru_cache(maxsize=65536)
def _converted(amount: str, contract_size: str, price: str) -> str:
    value = EXACT.multiply(Decimal(amount), _size(contract_size))
    if price:
        value = EXACT.divide(value, Decimal(price))
    # What is there is never rounded to nothing: an amount of zero deletes a level.
    return plain(fitted(value) or (LEAST if value else value))


@lru_cache(maxsize=1024)
def _size(contract_size: str) -> Decimal:
    try:
        return Decimal(positive(contract_size))
    except (FrameError, ValueError):
        raise FrameError(f"the contract size is unknown: {contract_size!r:.60}") from None
