"""Damages: stateless functions that corrupt a message, given its bytes and a random source.

The `STRUCTURAL` ones parse JSON and encode it again, so that they can insert what no encoder writes: `NaN`, `1e400`,
lone surrogates. The `TEXTUAL` ones accept any bytes. Each returns the messages to be sent in place of the original, or
an empty list where it does not apply. A damaged message has at most twice the original size plus about `LONG` bytes.
"""

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple

import orjson
from orjson import Fragment

LONG = 1_000_000  # bytes
_NESTED = 100_000  # brackets
_DESCENDS = 0.7  # chance to descend from a place into its value
_TRIES = 8  # random places tried until one has a suitable value

Damage = Callable[[bytes, Random], list[bytes]]

_NUMBERS = (
    b"NaN", b"Infinity", b"-Infinity", b"nan", b"inf", b"1e400", b"-1e400", b"1e-400", b"1e17", b"1e-17", b"9e17",
    b"1e-40", b"123456789012345678.123456789012345678", b"-0", b"-0.0", b"-1", b"-1.5", b"0", b"0.0", b"1", b"1E+2",
    b"1e3", b"2.2e3", b"9223372036854775807", b"9223372036854775808", b"-9223372036854775809", b"18446744073709551616",
    b"253402300800000", b"99999999999999999", b"1e", b"01", b"+1", b".5", b"5.", b"0x10", b"1_000", b"1,5", b"--1",
    b"9" * 10_000, b"0." + b"0" * 5_000 + b"1", b"1e" + b"9" * 400,
)  # fmt: skip
_TEXTS = (
    b'"\\ud800"', b'"\\udfff\\ud800"', b'"\\u0000"', b'"BTC\\u0000USDT"', b'"\x00"', b'"\n"', b'"\\n\\t"',
    b'"\xff\xfe"',
    b'"\xc0\x80"', b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"', b'"\\x41"', b'"\\"', b'""', b'" "', b'"\xe2\x80\xae"',
    b'"\xd0\x92TC-USDT"', b'"\xef\xbc\x91\xef\xbc\x92"', b'"\xf0\x9f\x9a\x80"', b'"a:b:c"', b'"../../etc/passwd"',
    b'"\';DROP TABLE trades;--"', b'"' + b"n" * 5_000 + b'"', b'"' + b"\xc3\xbc" * 5_000 + b'"',
)  # fmt: skip
_LONG = (b'"%b"' % (b"x" * LONG), b"7" * LONG, b"[%b0]" % (b"0," * (LONG // 2)))
_TYPES = (b"true", b"false", b"17", b"1.5", b'"text"', b"[]", b"{}", b"[[]]", b"[{}]", b'{"a":1}', b'[1,"2",null]')
_NOT_TEXT = b'\x00\x01\x1f\x7f\x80\xff{}[]",:\\\n\r\t'  # no digits, because a changed number would look genuine
_INVALID = (
    b"\xff\xfe",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xe2\x82",
    b"\xef\xbb\xbf",
    b"\x00",
    b"\n",
)
_MARKERS = (b"lost", b"disconnected", b"tick", b"instrument", b"frame", b"oversized", b"nothing")


class _Place(NamedTuple):
    """Place of a value within a message. `key` is its key in the object, or its index in the array, `parent`."""

    root: Any
    parent: Any
    key: Any

    @property
    def value(self) -> Any:
        return self.parent[self.key]

    def replaced_by(self, value: Any) -> list[bytes]:
        """Return the message with another value in this place."""
        self.parent[self.key] = value
        return [orjson.dumps(self.root)]


def _parse(message: bytes) -> Any:
    """Return a message's JSON object or array with its numbers as written, or None if it has neither."""
    try:
        root = json.loads(message, parse_int=Fragment, parse_float=Fragment, parse_constant=Fragment)
    except (ValueError, RecursionError):
        return None
    return root if isinstance(root, dict | list) else None


def _places(message: bytes, random: Random) -> Iterator[_Place]:
    """Yield random places of a message, if it is a JSON object or array that is not empty."""
    if root := _parse(message):
        for _ in range(_TRIES):
            yield _descend(root, random)


def _descend(root: Any, random: Random) -> _Place:
    parent = root
    while True:
        key = random.choice([*parent]) if isinstance(parent, dict) else random.randrange(len(parent))
        value = parent[key]
        if not isinstance(value, dict | list) or not value or random.random() > _DESCENDS:
            return _Place(root, parent, key)
        parent = value


def _place(message: bytes, random: Random) -> _Place | None:
    return next(_places(message, random), None)


def _is_number(value: Any) -> bool:
    return isinstance(value, Fragment) or (isinstance(value, str) and value[:1].isdigit())


# Structural


def dropped(message: bytes, random: Random) -> list[bytes]:
    """Remove a field or an element."""
    if (place := _place(message, random)) is None:
        return []
    del place.parent[place.key]
    return [orjson.dumps(place.root)]


def nulled(message: bytes, random: Random) -> list[bytes]:
    """Replace a value by null."""
    place = _place(message, random)
    return place.replaced_by(None) if place else []


def retyped(message: bytes, random: Random) -> list[bytes]:
    """Change the type of a value: number to text, text to number, anything to something else."""
    if (place := _place(message, random)) is None:
        return []
    if isinstance(place.value, str) and place.value.isdigit() and random.random() < 0.5:
        return place.replaced_by(Fragment(place.value))
    if isinstance(place.value, Fragment) and random.random() < 0.5:
        return place.replaced_by(orjson.dumps(place.value).decode())
    return place.replaced_by(Fragment(random.choice(_TYPES)))


def renumbered(message: bytes, random: Random) -> list[bytes]:
    """Replace a number by one that is huge, tiny, negative, not a number, or has an exponent."""
    for place in _places(message, random):
        if _is_number(place.value):
            number = random.choice(_NUMBERS)
            return place.replaced_by(number.decode() if isinstance(place.value, str) else Fragment(number))
    return []


def reworded(message: bytes, random: Random) -> list[bytes]:
    """Replace a text by an unexpected one: surrogates, NULs, invalid UTF-8, letters of other scripts, very long."""
    for place in _places(message, random):
        if isinstance(place.value, str):
            return place.replaced_by(Fragment(random.choice(_TEXTS)))
    return []


def rekeyed(message: bytes, random: Random) -> list[bytes]:
    """Rename a field."""
    for place in _places(message, random):
        if isinstance(place.parent, dict):
            place.parent[random.choice(("\x00", "ü" * 2_000, "", "stream", "data", "event", "id", "e", "ch"))] = (
                place.parent.pop(place.key)
            )
            return [orjson.dumps(place.root)]
    return []


def deepened(message: bytes, random: Random) -> list[bytes]:
    """Replace a value by deeply nested brackets, closed or not."""
    depth = random.choice((100, 2_000, _NESTED))
    opening, closing = random.choice(((b"[", b"]"), (b'{"a":', b"}")))
    nested = opening * depth + b"1" + closing * random.choice((depth, 0))
    place = _place(message, random)
    return place.replaced_by(Fragment(nested)) if place else []


def repeated(message: bytes, random: Random) -> list[bytes]:
    """Repeat an element of an array, or a field of an object, the field with different values."""
    if (place := _place(message, random)) is None:
        return []
    if isinstance(place.parent, list):
        place.parent.insert(place.key, place.value)
        return [orjson.dumps(place.root)]
    field = b"{%b:%b," % (orjson.dumps(place.key), random.choice(_TYPES))
    outer = orjson.dumps(place.parent)
    return [orjson.dumps(place.root).replace(outer, field + outer[1:], 1)]


def lengthened(message: bytes, random: Random) -> list[bytes]:
    """Make a value, or an additional field, 1 MB long."""
    if (place := _place(message, random)) is None:
        return []
    if isinstance(place.parent, dict) and random.random() < 0.5:
        place.parent["padding"] = "x" * LONG
        return [orjson.dumps(place.root)]
    return place.replaced_by(Fragment(random.choice(_LONG)))


def spaced(message: bytes, random: Random) -> list[bytes]:
    """Encode the same JSON with whitespace."""
    root = _parse(message)
    return [orjson.dumps(root, option=orjson.OPT_INDENT_2)] if root else []


# Textual


def truncated(message: bytes, random: Random) -> list[bytes]:
    """Cut off the end, or everything."""
    return [message[: random.randrange(len(message))]] if message else []


def flipped(message: bytes, random: Random) -> list[bytes]:
    """Overwrite one to four bytes."""
    if not message:
        return []
    changed = bytearray(message)
    for _ in range(random.randint(1, 4)):
        changed[random.randrange(len(changed))] = random.choice(_NOT_TEXT)
    return [bytes(changed)]


def garbled(message: bytes, random: Random) -> list[bytes]:
    """Insert bytes that are not valid text."""
    at = random.choice((0, len(message), random.randint(0, len(message))))
    return [message[:at] + random.choice(_INVALID) + message[at:]]


def stuttered(message: bytes, random: Random) -> list[bytes]:
    """Repeat a part, up to 1 MB of it."""
    if not message:
        return []
    start = random.randrange(len(message))
    part = message[start : start + random.randint(1, 200)]
    times = random.choice((1, 2, 50, LONG // len(part)))
    return [message[:start] + part * times + message[start:]]


def joined(message: bytes, random: Random) -> list[bytes]:
    """Put the message twice into one message."""
    return [message + message] if message else []


def duplicated(message: bytes, random: Random) -> list[bytes]:
    """Send the message twice."""
    return [message, message]


def padded(message: bytes, random: Random) -> list[bytes]:
    """Put 1 MB of filler before or after the message."""
    padding = random.choice((b" ", b"\n", b"\x00", b"x")) * LONG
    return [random.choice((message + padding, padding + message))]


def forged(message: bytes, random: Random) -> list[bytes]:
    """Imitate our own markers: as the beginning of the message, or as a second line of the raw record."""
    kind = random.choice(_MARKERS)
    if message[:1] == b"{" and random.random() < 0.5:
        return [b'{"marketprism":"%b",%b' % (kind, message[1:])]
    return [message + b'\n1\tbinance:BTC-USDT\t{"marketprism":"%b"}\n' % kind]


STRUCTURAL: dict[str, Damage] = {
    damage.__name__: damage
    for damage in (
        dropped, nulled, retyped, renumbered, reworded, rekeyed, deepened, repeated, lengthened, spaced,
    )
}  # fmt: skip
TEXTUAL: dict[str, Damage] = {
    damage.__name__: damage for damage in (truncated, flipped, garbled, stuttered, joined, duplicated, padded, forged)
}
DAMAGES = STRUCTURAL | TEXTUAL
# Numbers have by far the most variants, and values more than structure.
WEIGHTS = dict.fromkeys(DAMAGES, 1) | {
    "renumbered": 8, "dropped": 4, "nulled": 4, "retyped": 4, "reworded": 4, "truncated": 2,
}  # fmt: skip
