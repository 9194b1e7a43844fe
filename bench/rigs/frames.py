"""The frames that are measured: the recordings where they are at hand, else frames made here; it says which."""

import gzip
import random
from collections.abc import Iterator
from pathlib import Path

import orjson

from marketprism.captures.capture import open_capture
from schemas.feeds import FEEDS
from schemas.keys import UNKNOWN

RECORDINGS = Path(__file__).parents[3] / "shared" / "frames"
_FILES = {
    "binance-spot-btcusdt-20240808.gz": "binance:BTC-USDT",
    "binance-spot-ethusdt-20240808.gz": "binance:ETH-USDT",
    "binance-usdm-btcusdt-20240808.gz": "binance:BTC-USDT-PERP",
    "binance-usdm-ethusdt-20240808.gz": "binance:ETH-USDT-PERP",
}
_OTHERS = {
    "okx": "okx-v5-20220406.gz",
    "htx-spot": "htx-spot-2021.gz",
    "htx-linear": "htx-swap-2022.gz",
    "deribit": "deribit-2021.gz",
}

Frame = tuple[int, str, bytes]  # receipt ns, key, frame


def load_frames(most: int) -> tuple[str, list[Frame]]:
    """Where the frames are from, and up to `most` of them, of all instruments in turn of receipt."""
    if not RECORDINGS.is_dir():
        return "made frames", list(made_frames(most))
    frames = [frame for name, key in _FILES.items() for frame in _recorded(RECORDINGS / name, key, most // len(_FILES))]
    return "Binance recordings", sorted(frames, key=lambda frame: frame[0])


def load_others() -> Iterator[tuple[str, list[Frame]]]:
    """By feed, the short recordings of the other exchanges, where they are at hand; without frames of no instrument."""
    for feed, name in _OTHERS.items():
        if (RECORDINGS / name).is_file():
            lines = open_capture(FEEDS[feed], RECORDINGS / name).lines()
            yield (
                feed,
                [(line.local_timestamp, line.key, line.frame) for line in lines if not line.key.endswith(UNKNOWN)],
            )


def _recorded(path: Path, key: str, most: int) -> Iterator[Frame]:
    with gzip.open(path) as file:
        for _, row in zip(range(most), file, strict=False):
            stamp, _, frame = row.rstrip(b"\n").partition(b" ")
            yield int(stamp), key, frame


def made_frames(most: int) -> Iterator[Frame]:
    """Binance spot: four BBOs to each trade and each depth update of eight levels; a seed first."""
    chance, now, update = random.Random(1), 1_790_000_000_000_000_000, 1_000
    sides = [[[f"{50_000 + sign * (i + 1) * 0.5:.2f}", "1.50000000"] for i in range(500)] for sign in (-1, 1)]
    yield now, "binance:BTC-USDT", orjson.dumps({"lastUpdateId": update, "bids": sides[0], "asks": sides[1]})
    for number in range(most - 1):
        now += 1_000_000
        body, stream = _body(number % 6, number, update + 1, chance)
        update += number % 6 == 5
        frame = orjson.dumps({"stream": stream, "data": body | {"s": "BTCUSDT", "E": now // 10**6, "T": now // 10**6}})
        yield now, "binance:BTC-USDT", frame


def _body(kind: int, number: int, update: int, chance: random.Random) -> tuple[dict[str, object], str]:
    if kind == 5:
        levels = [[f"{50_000 - chance.randint(1, 900) * 0.5:.2f}", f"{chance.randint(0, 9)}.0"] for _ in range(8)]
        return {"e": "depthUpdate", "U": update, "u": update, "b": levels, "a": []}, "btcusdt@depth@100ms"
    if kind == 4:
        return {"e": "trade", "t": number, "p": "50000.00", "q": "0.10", "m": False, "M": True}, "btcusdt@trade"
    amount = f"{chance.randint(1, 99)}.0"
    return {"u": update - 1, "b": "49999.50", "B": amount, "a": "50000.50", "A": "2.0"}, "btcusdt@bookTicker"
