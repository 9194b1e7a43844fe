"""Check and convert single values of a frame, for all normalizers.

Everything that passes fits ClickHouse's columns: decimals of 20 digits before the point and 18 after it, ids of 64
bits, times before 2300.
"""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
from msgspec import Raw

from schemas.errors import FrameError
from schemas.instruments import Instrument
from streams.decimals import DECIMALS, INTEGERS

exact: Callable[[bytes | Raw], Any] = msgspec.json.Decoder(float_hook=str).decode
"""Decode JSON, but keep numbers with a point as text: a float keeps only about 16 of their digits."""

LARGEST = float(10**INTEGERS)
SMALLEST = 10.0**-DECIMALS
MOST_DIGITS = DECIMALS + 1
"""A plain decimal of at most this many characters cannot have too many digits after the point."""

PLAIN = b"0123456789."
_LONGEST_TEXT = 100  # characters of a number, zeros included
_LONGEST_ID = 64
_LAST_MS = 10_413_792_000_000  # the year 2300 in ms: the end of ClickHouse's times
_FIRST_US = 10**14  # larger times are in microseconds (Binance's timeUnit option)


def check_name(name: str, instrument: Instrument) -> None:
    """Raise `FrameError` unless a frame names its instrument as the exchange does: each key holds only its own data."""
    if name != instrument.exchange_symbol:
        known = instrument.exchange_symbol
        raise FrameError(
            f"frame for {name!r} received on the subscription of {known!r}"
            if known
            else f"{name!r} has no canonical name"
        )


def micros(stamp: int) -> int:
    """Return an exchange's integer timestamp, in milliseconds or microseconds, as microseconds."""
    if type(stamp) is int:
        if 10**11 < stamp < _LAST_MS:
            return stamp * 1000
        if _FIRST_US < stamp < _LAST_MS * 1000:
            return stamp
    raise FrameError(f"not a timestamp: {stamp!r}")


def are_plain(text: str) -> bool:
    """Return whether joined decimal strings hold nothing but digits and points: no sign, no exponent, no NaN."""
    return not text.encode().translate(None, PLAIN)


def decimal(text: str) -> str:
    """Return a non-negative decimal string in plain notation, with exponents written out; else raise `FrameError`."""
    if type(text) is not str:
        raise FrameError(f"not a decimal string: {text!r}")
    if len(text) > _LONGEST_TEXT:
        raise FrameError(f"out of range: a number of {len(text)} characters")
    if are_plain(text):
        float(text)  # `ValueError` if there are two points
        return text if len(text) <= MOST_DIGITS else _shortened(text)
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise FrameError(f"not a decimal: {text!r}") from None
    if not value.is_finite() or value.is_signed():
        raise FrameError(f"not a price or amount: {text!r}")
    if value and abs(value.adjusted()) > INTEGERS:
        raise FrameError(f"out of range: {text!r}")
    return _shortened(format(value, "f")) if value else "0"


def _shortened(text: str) -> str:
    """Strip a plain decimal's needless zeros. Raise `FrameError` if it has more digits than a column."""
    whole, _, behind = text.partition(".")
    whole, behind = whole.lstrip("0") or "0", behind.rstrip("0")
    if len(whole) > INTEGERS:
        raise FrameError(f"out of range: {text!r}")
    if len(behind) > DECIMALS:
        raise FrameError(f"more than {DECIMALS} decimal places: {text!r}")
    return f"{whole}.{behind}" if behind else whole


def signed(value: str | int) -> str:
    """Return a decimal that may be negative in plain notation, from a text or a number of exactly parsed JSON."""
    text = str(value) if type(value) is int else value
    if type(text) is not str or not text.startswith("-"):
        return decimal(text)  # type: ignore[arg-type]
    plain = decimal(text[1:])
    return f"-{plain}" if float(plain) else plain


def number(value: str | int) -> str:
    """Do what `decimal` does for a number of exactly decoded JSON (`exact`: text or int)."""
    return decimal(str(value) if type(value) is int else value)  # type: ignore[arg-type]


def update_id(value: int) -> int:
    """Return a non-negative id, or raise `FrameError` if it has more than 63 bits: JSON's integers are unbounded."""
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise FrameError(f"not an id: {value!r:.60}")
    return value


def trade_id(text: str) -> str:
    """Return a trade id that is sent as text; raise `FrameError` if it is empty, too long or not printable."""
    if type(text) is not str or not 0 < len(text) <= _LONGEST_ID or not text.isprintable():
        raise FrameError(f"not a trade id: {text!r:.60}")
    return text


def positive(text: str) -> str:
    """Return a decimal string above zero, such as a trade's price or amount; else raise `FrameError`."""
    plain = decimal(text)
    if not 0 < float(plain) < LARGEST:
        raise FrameError(f"not above zero, or out of range: {text!r}")
    return plain


def positives(price: str, amount: str) -> tuple[str, str]:
    """Do what `positive` does for a trade's price and amount, each of at most `MOST_DIGITS` characters."""
    if are_plain(price + amount) and 0 < float(price) < LARGEST and 0 < float(amount) < LARGEST:
        return price, amount
    return positive(price), positive(amount)
