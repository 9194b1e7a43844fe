"""Generated Binance spot frames of any number of instruments, which take turns, each with the mix of `made_frames`."""

import random
from collections.abc import Iterator
from itertools import islice, product
from string import ascii_uppercase
from typing import Any

import orjson

from bench.rigs.frames import Frame
from marketprism.simulator.exchanges.binance.frames import combined, snapshot, spot_depth, spot_quote, spot_trade

_BEGIN = 1_790_000_000_000_000_000  # ns
_DEPTH = 400  # levels a side
_IDS_PER_UPDATE = 10
_BIDS, _ASKS = (
    [[f"{50_000 + sign * (rank + 1) * 0.5:.2f}", "1.50000000"] for rank in range(_DEPTH)] for sign in (-1, 1)
)


def bases(count: int) -> list[str]:
    """Return AAA, AAB, …"""
    return ["".join(letters) for letters in islice(product(ascii_uppercase, repeat=3), count)]


def seeds(instruments: int) -> list[Frame]:
    """Return every instrument's snapshot of 400 levels a side."""
    frame = orjson.dumps(snapshot(1_000, _BIDS, _ASKS))
    return [(_BEGIN, f"binance:{base}-USDT", frame) for base in bases(instruments)]


def changes(instruments: int, count: int, interval_ns: int = 10_000) -> Iterator[Frame]:
    """Yield `count` frames after the snapshots; every instrument repeats four BBOs, a trade, and a depth update."""
    chance, names = random.Random(1), bases(instruments)
    for number in range(count):
        turn, place = divmod(number, instruments)
        now, symbol = _BEGIN + (number + 1) * interval_ns, f"{names[place]}USDT"
        stream, data = _event(symbol, turn, number, now // 10**6, chance)
        frame = orjson.dumps(combined(f"{symbol.lower()}@{stream}", data))
        yield now, f"binance:{names[place]}-USDT", frame


def _event(symbol: str, turn: int, number: int, now: int, chance: random.Random) -> tuple[str, dict[str, Any]]:
    """Return stream and data of one event. A BBO's id lies between two updates, so that no book contradicts it."""
    last = 1_000 + turn // 6 * _IDS_PER_UPDATE
    if turn % 6 == 5:
        bids = [[f"{50_000 - chance.randint(2, 400) * 0.5:.2f}", f"{chance.randint(0, 9)}.0"] for _ in range(8)]
        return "depth@100ms", spot_depth(symbol, last + 1, last + _IDS_PER_UPDATE, bids, [], now)
    if turn % 6 == 4:
        return "trade", spot_trade(symbol, number, "50000.00", "0.10", "buy", now)
    bid, ask = ("49999.50", f"{chance.randint(1, 99)}.0"), ("50000.50", "2.0")
    return "bookTicker", spot_quote(symbol, last + 1 + turn % 6, bid, ask)
