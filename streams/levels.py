"""Price levels as books keep them: the bytes between the brackets and outer quotes of `["50000.10","1.5"]`.

A level is one object; a list of strings would be three. So a book takes half of the memory, one call cuts a side out of
a frame, one call joins it into an event, and the garbage collector has nothing to scan.
"""

from orjson import Fragment

Level = bytes
Levels = list[Level]

_NO_LEVELS = Fragment(b"[]")


def level_of(price: str, amount: str) -> Level:
    """Return a level. Both texts must be plain decimals (`numbers.are_plain`), as nothing is escaped."""
    return f'{price}","{amount}'.encode()


def texts_of(level: Level) -> tuple[str, str]:
    """Return a level's price and amount."""
    price, amount = level.decode().split('","')
    return price, amount


def json_of(levels: Levels) -> Fragment:
    """Return levels as JSON, `[["50000.10","1.5"],…]`, to be embedded in an event."""
    return Fragment(b'[["%b"]]' % b'"],["'.join(levels)) if levels else _NO_LEVELS
