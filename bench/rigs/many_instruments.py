"""Made frames of as many instruments as are asked for: Binance spot, in turn, each the mix of `made_frames`."""

import random
from collections.abc import Iterator
from itertools import islice, product
from string import ascii_uppercase

import orjson

from bench.rigs.frames import Frame

_BEGIN = 1_790_000_000_000_000_000  # ns
_DEPTH = 400  # levels a side
_IDS = 10  # of one depth update
_BOOK = [[[f"{50_000 + sign * (rank + 1) * 0.5:.2f}", "1.50000000"] for rank in range(_DEPTH)] for sign in (-1, 1)]


def bases(count: int) -> list[str]:
    """AAA, AAB, …"""
    return ["".join(letters) for letters in islice(product(ascii_uppercase, repeat=3), count)]


def seeds(instruments: int) -> list[Frame]:
    """Each instrument's snapshot of 400 levels a side."""
    frame = orjson.dumps({"lastUpdateId": 1_000, "bids": _BOOK[0], "asks": _BOOK[1]})
    return [(_BEGIN, f"binance:{base}-USDT", frame) for base in bases(instruments)]


def changes(instruments: int, count: int, each_ns: int = 10_000) -> Iterator[Frame]:
    """What follows: of each instrument in turn four BBOs, a trade, a depth update of eight levels, and again."""
    chance, names = random.Random(1), bases(instruments)
    for number in range(count):
        turn, place = divmod(number, instruments)
        now, stream, data = _BEGIN + (number + 1) * each_ns, names[place].lower() + "usdt", _data(turn, number, chance)
        kind = data.pop("stream")
        body = data | {"s": stream.upper(), "E": now // 10**6, "T": now // 10**6}
        yield now, f"binance:{names[place]}-USDT", orjson.dumps({"stream": f"{stream}@{kind}", "data": body})


def _data(turn: int, number: int, chance: random.Random) -> dict[str, object]:
    """The ids are those of a true market: a BBO lies between two updates, so that no book contradicts it."""
    last = 1_000 + turn // 6 * _IDS
    if turn % 6 == 5:
        levels = [[f"{50_000 - chance.randint(2, 400) * 0.5:.2f}", f"{chance.randint(0, 9)}.0"] for _ in range(8)]
        return {"stream": "depth@100ms", "e": "depthUpdate", "U": last + 1, "u": last + _IDS, "b": levels, "a": []}
    if turn % 6 == 4:
        trade = {"e": "trade", "t": number, "p": "50000.00", "q": "0.10", "m": False, "M": True}
        return {"stream": "trade"} | trade
    best = {"b": "49999.50", "B": f"{chance.randint(1, 99)}.0", "a": "50000.50", "A": "2.0"}
    return {"stream": "bookTicker", "u": last + 1 + turn % 6} | best
