"""Convert contracts to base units, exactly: amounts stay decimal strings."""

from decimal import Decimal
from functools import lru_cache

from schemas.errors import FrameError
from schemas.instruments import Instrument
from streams.decimals import EXACT, LEAST, fitted, plain
from streams.levels import Level, Levels, level_of, texts_of
from streams.normalize.messages import CheckedLevels
from streams.normalize.numbers import positive

_MODEST_SIZE = 100.0  # up to this contract size, modest prices and amounts are sure to fit a column
_LARGEST = 1e19  # below this, an amount in base units is sure to fit a column


def base_amount(instrument: Instrument, price: str, amount: str) -> str:
    """Convert an amount from the exchange's units to base units: x contract size, / price when inverse.

    Raise `RangeError` if the result does not fit a column, `FrameError` if the contract size is not a positive decimal.
    """
    if instrument.contract_size == "1" and not instrument.inverse:
        return amount
    return _converted(amount, instrument.contract_size, price if instrument.inverse else "")


def base_levels(instrument: Instrument, side: Levels) -> Levels:
    """Convert the amounts of a side to base units. `check_convertible` must have accepted its levels."""
    if instrument.contract_size == "1" and not instrument.inverse:
        return side
    return [_base_level(level, instrument.contract_size, instrument.inverse) for level in side]


def check_convertible(instrument: Instrument, bids: CheckedLevels, asks: CheckedLevels) -> None:
    """Check that `base_levels` can convert both sides, before a book holds them. Raise as `base_amount` does."""
    if instrument.contract_size == "1" and not instrument.inverse:
        return
    size = _size_in_floats(instrument.contract_size)
    if bids.modest and asks.modest and size <= _MODEST_SIZE:
        return  # true of nearly all messages
    for side in (bids, asks):
        if side.numbers and _largest(side, instrument.inverse) * size >= _LARGEST:
            base_levels(instrument, side.levels)


@lru_cache(maxsize=1024)
def _size_in_floats(contract_size: str) -> float:
    return float(_size(contract_size))


def _largest(side: CheckedLevels, inverse: bool) -> float:
    """Return an upper bound of the side's amounts: in contracts or, if these are inverse, in contracts / price."""
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
    # A non-zero amount is never rounded to zero: that would delete the level.
    return plain(fitted(value) or (LEAST if value else value))


@lru_cache(maxsize=1024)
def _size(contract_size: str) -> Decimal:
    try:
        return Decimal(positive(contract_size))
    except (FrameError, ValueError):
        raise FrameError(f"the contract size is unknown: {contract_size!r:.60}") from None
