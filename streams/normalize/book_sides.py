"""Check the sides of book messages and BBOs, and cut them into levels, for all normalizers.

Everything that passes fits ClickHouse's columns, as in `numbers`.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Annotated, Any

import msgspec
import orjson
from msgspec import Meta, Raw, ValidationError

from schemas.errors import FrameError
from streams.levels import Level, level_of, texts_of
from streams.normalize.messages import (
    MODEST_AMOUNT,
    MODEST_PRICE,
    NO_LEVELS,
    BookMessage,
    CheckedLevels,
    Quote,
    RestQuote,
)
from streams.normalize.numbers import LARGEST, MOST_DIGITS, PLAIN, SMALLEST, are_plain, decimal, exact, number

_Price = Annotated[float, Meta(ge=SMALLEST, lt=LARGEST)]
_Amount = Annotated[float, Meta(ge=0, lt=LARGEST)]
_Texts = list[list[str]]  # [price, amount, …] as the exchange sent them

_modest_numbers = msgspec.json.Decoder(
    list[tuple[Annotated[float, Meta(ge=MODEST_PRICE, lt=LARGEST)], Annotated[float, Meta(ge=0, le=MODEST_AMOUNT)]]],
    strict=False,
).decode
_numbers = msgspec.json.Decoder(list[tuple[_Price, _Amount]], strict=False).decode
_LISTS = {list}
_TWOPLAIN = level_of("", "") * 2  # two levels without their digits and points
_NUMERIC = PLAIN + b"eE+-"
_BETWEEN, _WITHIN = b'"],["', b'","'  # what separates two levels; a price from its amount
_NEXT = b"\n\n\n"
_QUOTE = ord('"')
_SMALL_E, _LARGE_E, _MINUS, _ESCAPE, _SPACE, _TAB, _RETURN, _NEWLINE = b"eE-\\ \t\r\n"
# Maps digits and points to zeros, everything else to one letter.
_SHAPES = bytes(ord("0") if digit in PLAIN else ord("x") for digit in range(256))
_SIX_DIGITS = b"000000"
_LONG_RUN = re.compile(rb"[0-9.]{%d}" % (MOST_DIGITS + 1))


_plain = lru_cache(maxsize=65536)(decimal)
"""`decimal`, cached for sides with exponents, as low-priced tokens have them: the same prices recur all the time."""


def level(price: str, amount: str) -> CheckedLevels:
    """Return a side of one level. Both texts must be plain decimals already (`number`)."""
    numbers = float(price), float(amount)
    if 0 < numbers[0] < LARGEST and numbers[1] < LARGEST:
        modest = numbers[0] >= MODEST_PRICE and numbers[1] <= MODEST_AMOUNT
        return CheckedLevels([level_of(price, amount)], [numbers], modest)
    return levels([[price, amount]])


def quote_of(timestamp: int, sequence: int, bids: CheckedLevels, asks: CheckedLevels) -> Quote:
    """Return a BBO of two sides that are already checked."""
    return Quote(timestamp, sequence, bids.levels, asks.levels, _best(bids), _best(asks))


def rest_quote_of(book: BookMessage) -> RestQuote:
    """Return the best levels of a book that was fetched by REST. Raise `FrameError` if they do not come best first."""
    bids, asks = ([price for price, _ in side.numbers] for side in (book.bids, book.asks))
    if bids != sorted(bids, reverse=True) or asks != sorted(asks):
        raise FrameError("the levels do not come best first")
    return RestQuote(book.timestamp, book.last, book.bids.levels, book.asks.levels, _best(book.bids), _best(book.asks))


def _best(side: CheckedLevels) -> float:
    return side.numbers[0][0] if side.numbers else 0.0


def quote_of_texts(timestamp: int, sequence: int, bid: str, bid_amount: str, ask: str, ask_amount: str) -> Quote:
    """Return a BBO, checked as `levels` does. A price of zero means a side without orders.

    The texts must have at most `MOST_DIGITS` characters.
    """
    best_bid, best_ask = float(bid), float(ask)
    bid_level, ask_level = level_of(bid, bid_amount), level_of(ask, ask_amount)
    if (
        (bid_level + ask_level).translate(None, PLAIN) == _TWOPLAIN
        and best_bid < LARGEST
        and best_ask < LARGEST
        and float(bid_amount) < LARGEST
        and float(ask_amount) < LARGEST
    ):
        bids, asks = [bid_level] if best_bid else [], [ask_level] if best_ask else []
        return Quote(timestamp, sequence, bids, asks, best_bid, best_ask)
    bid_side, ask_side = [[bid, bid_amount]] if best_bid else [], [[ask, ask_amount]] if best_ask else []
    return quote_of(timestamp, sequence, levels(bid_side), levels(ask_side))


def levels(side: _Texts) -> CheckedLevels:
    """Return a side of a book, checked: every level has a price above zero and a non-negative amount, as plain strings.

    Checking all of a side's strings joined costs a tenth of checking each. Only a side that fails is checked level by
    level, to name the culprit or to write exponents out. After this, nothing in a level can raise.
    """
    if type(side) is not list:
        raise FrameError(f"not a list of levels: {side!r:.100}")
    if side and set(map(type, side)) != _LISTS:
        raise FrameError(f"not a level: {side!r:.100}")
    return typed_levels(side)


def decoded_sides(bids: Raw, asks: Raw) -> tuple[CheckedLevels, CheckedLevels]:
    """Do what `levels` does for two sides that are still JSON: cut them into levels, and decode only the numbers.

    The cuts are known to be right if there are as many texts between quotes as pairs of numbers, with nothing odd in
    them (an exponent, the minus of a zero, an escaped digit, white space, too many digits).
    """
    both = bytes(bids), bytes(asks)
    joined = both[0] + both[1]
    if _is_odd(joined) or _is_long(joined):
        return levels(orjson.loads(both[0])), levels(orjson.loads(both[1]))
    return _cut(bids, both[0]), _cut(asks, both[1])


def _cut(side: Raw, json: bytes) -> CheckedLevels:
    try:
        numbers = _numbers(side)
    except ValidationError:
        return levels(orjson.loads(json))  # names the culprit
    if not numbers:
        return NO_LEVELS
    cut = json[3:-3].split(_BETWEEN)
    if len(cut) != len(numbers) or json[2] != _QUOTE or json[-3] != _QUOTE:
        return levels(orjson.loads(json))
    return CheckedLevels(cut, numbers)


def number_levels(side: Raw) -> CheckedLevels:
    """Do what `levels` does for a side that is still JSON and holds numbers: cut it, and write exponents out."""
    json, modest = bytes(side), True
    try:
        numbers = _modest_numbers(side)
    except ValidationError:
        try:
            numbers, modest = _numbers(side), False
        except ValidationError:
            return numeric_levels(exact(json))  # names the culprit
    if not numbers:
        return NO_LEVELS
    if json.translate(None, _NUMERIC) != b"[%b]" % (b"[,]," * len(numbers))[:-1]:
        return numeric_levels(exact(json))
    texts = json[2:-2].replace(b"],[", _NEXT).replace(b",", _WITHIN)
    if _is_long(texts):
        return numeric_levels(exact(json))
    cut = texts.split(_NEXT)
    return CheckedLevels(list(map(_plain_level, cut)) if _is_odd(json) else cut, numbers, modest)


@lru_cache(maxsize=65536)
def _plain_level(level: Level) -> Level:
    price, amount = texts_of(level)
    return level_of(number(exact(price.encode())), number(exact(amount.encode())))


def _is_odd(json: bytes) -> bool:
    """Return whether a side's numbers have more than digits and points. A byte is found faster as an int."""
    return (
        _SMALL_E in json
        or _LARGE_E in json
        or _MINUS in json
        or _ESCAPE in json
        or _SPACE in json
        or _TAB in json
        or _RETURN in json
        or _NEWLINE in json
    )


def _is_long(json: bytes) -> bool:
    """Return whether a number has more than `MOST_DIGITS` characters: `typed_levels` has to shorten those.

    Two texts are separated by at least three characters. So among every third character, a run of 20 digits leaves six
    digits in a row. Hardly any side has those, and only then is all of it searched.
    """
    return _SIX_DIGITS in json[::3].translate(_SHAPES) and _LONG_RUN.search(json) is not None


def numeric_levels(side: Iterable[tuple[Any, Any]]) -> CheckedLevels:
    """Do what `levels` does for prices and amounts that are numbers of exactly decoded JSON (`exact`: text or int)."""
    return typed_levels([[str(price), str(amount)] for price, amount in side])


def typed_levels(side: _Texts) -> CheckedLevels:
    """Do what `levels` does for a side that is known to be lists of strings."""
    if not side:
        return NO_LEVELS
    if len(side) == 1:  # true of many updates
        price, amount = side[0][0], side[0][1]
        if len(price) <= MOST_DIGITS and len(amount) <= MOST_DIGITS and are_plain(price + amount) and float(price) > 0:
            return level(price, amount)
    texts, more = [level[0] for level in side], [level[1] for level in side]
    joined = "".join(texts) + "".join(more)
    # The joined texts are at least this long if one number is too long and all others have one digit.
    if not are_plain(joined) or (
        len(joined) > MOST_DIGITS + 2 * len(side) - 1 and max(map(len, texts + more)) > MOST_DIGITS
    ):
        texts, more = list(map(_plain, texts)), list(map(_plain, more))
    prices, amounts = list(map(float, texts)), list(map(float, more))  # `ValueError` on anything but one number
    cheapest, total = min(prices), sum(amounts)
    if not cheapest or (sum(prices) + total >= LARGEST and max(prices + amounts) >= LARGEST):
        raise FrameError(f"a price that is not above zero, or a value out of range: {side!r:.100}")
    modest = cheapest >= MODEST_PRICE and total <= MODEST_AMOUNT
    return CheckedLevels(list(map(level_of, texts, more)), list(zip(prices, amounts, strict=True)), modest)
