"""Contracts to base units, exactly: amounts stay decimal strings."""

from decimal import Context, Decimal
from functools import lru_cache

from schemas.instruments import Instrument
from streams.levels import Level, Levels, level_of, texts_of

# An inverse amount is a quotient: 18 decimals are what ClickHouse's column holds.
_QUANTUM = Decimal("1e-18")
_CONTEXT = Context(prec=60)


def base_amount(instrument: Instrument, price: str, amount: str) -> str:
    """An amount in the exchange's units as base units: x contract size, / price when inverse."""
    if instrument.contract_size == "1" and not instrument.inverse:
        return amount
    return _converted(amount, instrument.contract_size, price if instrument.inverse else "")


def base_levels(instrument: Instrument, side: Levels) -> Levels:
    """A side's levels with their amounts in base units."""
    if instrument.contract_size == "1" and not instrument.inverse:
        return side
    return [_base_level(level, instrument.contract_size, instrument.inverse) for level in side]


@lru_cache(maxsize=65536)
def _base_level(level: Level, contract_size: str, inverse: bool) -> Level:
    price, amount = texts_of(level)
    return level_of(price, _converted(amount, contract_size, price if inverse else ""))


@lru_cache(maxsize=65536)
def _converted(amount: str, contract_size: str, price: str) -> str:
    value = _CONTEXT.multiply(Decimal(amount), Decimal(contract_size))
    if price:
        value = _CONTEXT.divide(value, Decimal(price)).quantize(_QUANTUM, context=_CONTEXT)
    return format(value.normalize(_CONTEXT), "f")
