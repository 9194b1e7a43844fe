"""Price levels as they are kept: what stands between the brackets and outer quotes of `["50000.10","1.5"]`.

One object each, where a list of strings is three: a book takes half of the memory, one call cuts a side out of a frame
and one joins it into an event, and the garbage collector has nothing to look at.
"""

from orjson import Fragment

Level = bytes
Levels = list[Level]

_NO_LEVELS = Fragment(b"[]")


def level_of(price: str, amount: str) -> Level:
    """Both plain decimals (`numbers.are_plain`): nothing is escaped."""
    return f'{price}","{amount}'.encode()


def texts_of(level: Level) -> tuple[str, str]:
    """Its price and amount."""
    price, amount = level.decode().split('","')
    return price, amount


def json_of(levels: Levels) -> Fragment:
    """`[["50000.10","1.5"],…]`, to be put into an event."""
    return Fragment(b'[["%b"]]' % b'"],["'.join(levels)) if levels else _NO_LEVELS
