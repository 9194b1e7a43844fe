"""Ways to ruin a message: functions of its bytes and of a random source, without state.

Those of `STRUCTURAL` take JSON apart and write it anew, so that what no encoder writes can stand in it: `NaN`, `1e400`,
lone surrogates. Those of `TEXTUAL` take any bytes. Each returns the messages that are sent in place of the one, or
nothing where it does not apply. A message grows to twice its size and `LONG` at most.
"""

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple

import orjson
from orjson import Fragment

LONG = 1_000_000  # bytes
_NESTED = 100_000  # brackets
_DESCENDS = 0.7  # chance to go on from a place to one within it
_LOOKS = 8  # places that are tried until one holds what is looked for

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
_NOT_TEXT = b'\x00\x01\x1f\x7f\x80\xff{}[]",:\\\n\r\t'  # no digits: a changed number would look like a true one
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
_OURS = (b"lost", b"disconnected", b"tick", b"instrument", b"frame", b"oversized", b"nothing")


class _Place(NamedTuple):
    """A key of an object, or an index of an array, within a message."""

    root: Any
    holder: Any
    key: Any

    @property
    def value(self) -> Any:
        return self.holder[self.key]

    def filled(self, value: Any) -> list[bytes]:
        """The message with another value in this place."""
        self.holder[self.key] = value
        return [orjson.dumps(self.root)]


def _parsed(message: bytes) -> Any:
    """A message's JSON object or array, its numbers as they are written; nothing where it is none."""
    try:
        root = json.loads(message, parse_int=Fragment, parse_float=Fragment, parse_constant=Fragment)
    except (ValueError, RecursionError):
        return None
    return root if isinstance(root, dict | list) else None


def _places(message: bytes, random: Random) -> Iterator[_Place]:
    """Random places of a message, if it is JSON with something in it."""
    if root := _parsed(message):
        for _ in range(_LOOKS):
            yield _descend(root, random)


def _descend(root: Any, random: Random) -> _Place:
    holder = root
    while True:
        key = random.choice([*holder]) if isinstance(holder, dict) else random.randrange(len(holder))
        within = holder[key]
        if not isinstance(within, dict | list) or not within or random.random() > _DESCENDS:
            return _Place(root, holder, key)
        holder = within


def _place(message: bytes, random: Random) -> _Place | None:
    return next(_places(message, random), None)


def _holds_number(value: Any) -> bool:
    return isinstance(value, Fragment) or (isinstance(value, str) and value[:1].isdigit())


# Structural


def dropped(message: bytes, random: Random) -> list[bytes]:
    """A field or an element is missing."""
    if (place := _place(message, random)) is None:
        return []
    del place.holder[place.key]
    return [orjson.dumps(place.root)]


def nulled(message: bytes, random: Random) -> list[bytes]:
    """A value is null."""
    place = _place(message, random)
    return place.filled(None) if place else []


def retyped(message: bytes, random: Random) -> list[bytes]:
    """A value has another type: a number is text, text is a number, anything is something else."""
    if (place := _place(message, random)) is None:
        return []
    if isinstance(place.value, str) and place.value.isdigit() and random.random() < 0.5:
        return place.filled(Fragment(place.value))
    if isinstance(place.value, Fragment) and random.random() < 0.5:
        return place.filled(orjson.dumps(place.value).decode())
    return place.filled(Fragment(random.choice(_TYPES)))


def renumbered(message: bytes, random: Random) -> list[bytes]:
    """A number is huge, tiny, negative, none, or has an exponent."""
    for place in _places(message, random):
        if _holds_number(place.value):
            number = random.choice(_NUMBERS)
            return place.filled(number.decode() if isinstance(place.value, str) else Fragment(number))
    return []


def renamed(message: bytes, random: Random) -> list[bytes]:
    """A text is one that nobody expects: surrogates, NULs, invalid UTF-8, letters of other scripts, very long."""
    for place in _places(message, random):
        if isinstance(place.value, str):
            return place.filled(Fragment(random.choice(_TEXTS)))
    return []


def relabelled(message: bytes, random: Random) -> list[bytes]:
    """A field has another name."""
    for place in _places(message, random):
        if isinstance(place.holder, dict):
            place.holder[random.choice(("\x00", "ü" * 2_000, "", "stream", "data", "event", "id", "e", "ch"))] = (
                place.holder.pop(place.key)
            )
            return [orjson.dumps(place.root)]
    return []


def deepened(message: bytes, random: Random) -> list[bytes]:
    """A value lies within very many brackets, closed or not."""
    depth = random.choice((100, 2_000, _NESTED))
    opening, closing = random.choice(((b"[", b"]"), (b'{"a":', b"}")))
    within = opening * depth + b"1" + closing * random.choice((depth, 0))
    place = _place(message, random)
    return place.filled(Fragment(within)) if place else []


def multiplied(message: bytes, random: Random) -> list[bytes]:
    """An element stands in its array twice, or a field in its object, the second time with another value."""
    if (place := _place(message, random)) is None:
        return []
    if isinstance(place.holder, list):
        place.holder.insert(place.key, place.value)
        return [orjson.dumps(place.root)]
    field = b"{%b:%b," % (orjson.dumps(place.key), random.choice(_TYPES))
    outer = orjson.dumps(place.holder)
    return [orjson.dumps(place.root).replace(outer, field + outer[1:], 1)]


def lengthened(message: bytes, random: Random) -> list[bytes]:
    """A value, or one more field, is 1 MB long."""
    if (place := _place(message, random)) is None:
        return []
    if isinstance(place.holder, dict) and random.random() < 0.5:
        place.holder["padding"] = "x" * LONG
        return [orjson.dumps(place.root)]
    return place.filled(Fragment(random.choice(_LONG)))


def spaced(message: bytes, random: Random) -> list[bytes]:
    """The same JSON with white space between its parts."""
    root = _parsed(message)
    return [orjson.dumps(root, option=orjson.OPT_INDENT_2)] if root else []


# Textual


def truncated(message: bytes, random: Random) -> list[bytes]:
    """The end is missing, or all of it."""
    return [message[: random.randrange(len(message))]] if message else []


def flipped(message: bytes, random: Random) -> list[bytes]:
    """Some bytes are others."""
    if not message:
        return []
    changed = bytearray(message)
    for _ in range(random.randint(1, 4)):
        changed[random.randrange(len(changed))] = random.choice(_NOT_TEXT)
    return [bytes(changed)]


def garbled(message: bytes, random: Random) -> list[bytes]:
    """Bytes that are no text stand in between."""
    at = random.choice((0, len(message), random.randint(0, len(message))))
    return [message[:at] + random.choice(_INVALID) + message[at:]]


def stuttered(message: bytes, random: Random) -> list[bytes]:
    """A part is repeated, up to 1 MB of it."""
    if not message:
        return []
    start = random.randrange(len(message))
    part = message[start : start + random.randint(1, 200)]
    times = random.choice((1, 2, 50, LONG // len(part)))
    return [message[:start] + part * times + message[start:]]


def joined(message: bytes, random: Random) -> list[bytes]:
    """It stands in one message twice."""
    return [message + message] if message else []


def doubled(message: bytes, random: Random) -> list[bytes]:
    """It is sent twice."""
    return [message, message]


def padded(message: bytes, random: Random) -> list[bytes]:
    """1 MB of nothing goes before or after it."""
    padding = random.choice((b" ", b"\n", b"\x00", b"x")) * LONG
    return [random.choice((message + padding, padding + message))]


def forged(message: bytes, random: Random) -> list[bytes]:
    """It begins as our own markers do, or holds what looks like a second line of a raw record."""
    kind = random.choice(_OURS)
    if message[:1] == b"{" and random.random() < 0.5:
        return [b'{"marketprism":"%b",%b' % (kind, message[1:])]
    return [message + b'\n1\tbinance:BTC-USDT\t{"marketprism":"%b"}\n' % kind]


STRUCTURAL: dict[str, Damage] = {
    damage.__name__: damage
    for damage in (
        dropped, nulled, retyped, renumbered, renamed, relabelled, deepened, multiplied, lengthened, spaced,
    )
}  # fmt: skip
TEXTUAL: dict[str, Damage] = {
    damage.__name__: damage for damage in (truncated, flipped, garbled, stuttered, joined, doubled, padded, forged)
}
DAMAGES = STRUCTURAL | TEXTUAL
# There are many more numbers to try than anything else, and more values than forms.
WEIGHTS = dict.fromkeys(DAMAGES, 1) | {
    "renumbered": 8, "dropped": 4, "nulled": 4, "retyped": 4, "renamed": 4, "truncated": 2,
}  # fmt: skip
