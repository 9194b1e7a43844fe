"""The frames that are measured: recordings if they are available, otherwise frames generated here."""

import gzip
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from marketprism.captures.capture import open_capture
from marketprism.simulator.exchanges.binance.frames import combined, snapshot, spot_depth, spot_quote, spot_trade
from schemas.feeds import FEEDS
from schemas.keys import UNKNOWN
from schemas.raw import RawLine

RECORDINGS = Path(__file__).parents[3] / "shared" / "frames"
_BINANCE = {
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


def load_frames(limit: int) -> tuple[str, list[Frame]]:
    """Return the source of the frames, and up to `limit` frames of all instruments, sorted by receipt."""
    if not RECORDINGS.is_dir():
        return "generated frames", list(made_frames(limit))
    share = limit // len(_BINANCE)
    frames = [frame for name, key in _BINANCE.items() for frame in _recorded(RECORDINGS / name, key, share)]
    return "Binance recordings", sorted(frames, key=lambda frame: frame[0])


def load_others() -> Iterator[tuple[str, list[Frame]]]:
    """Yield by feed the short recordings of the other exchanges, if available, without frames of no instrument."""
    for feed, name in _OTHERS.items():
        if (RECORDINGS / name).is_file():
            lines = open_capture(FEEDS[feed], RECORDINGS / name).lines()
            yield feed, [_linear(feed, line) for line in lines if not line.key.endswith(UNKNOWN)]


def _linear(feed: str, line: RawLine) -> Frame:
    """Return a line as a frame. HTX's recorded coin-margined swaps get the names of linear ones: both look alike."""
    if feed != "htx-linear":
        return line.local_timestamp, line.key, line.frame
    return line.local_timestamp, line.key.replace("-USD-", "-USDT-"), line.frame.replace(b"-USD.", b"-USDT.")


def _recorded(path: Path, key: str, limit: int) -> Iterator[Frame]:
    with gzip.open(path) as file:
        for _, row in zip(range(limit), file, strict=False):
            stamp, _, frame = row.rstrip(b"\n").partition(b" ")
            yield int(stamp), key, frame


def made_frames(count: int) -> Iterator[Frame]:
    """Yield Binance spot frames of BTC-USDT: a snapshot, then repeatedly four BBOs, a trade, and a depth update."""
    chance, now, update = random.Random(1), 1_790_000_000_000_000_000, 1_000
    bids, asks = ([[f"{50_000 + sign * (i + 1) * 0.5:.2f}", "1.50000000"] for i in range(500)] for sign in (-1, 1))
    yield now, "binance:BTC-USDT", orjson.dumps(snapshot(update, bids, asks))
    for number in range(count - 1):
        now += 1_000_000
        stream, data = _event(number, update + 1, now // 10**6, chance)
        update += number % 6 == 5
        yield now, "binance:BTC-USDT", orjson.dumps(combined(f"btcusdt@{stream}", data))


def _event(number: int, update: int, now: int, chance: random.Random) -> tuple[str, dict[str, Any]]:
    if number % 6 == 5:
        bids = [[f"{50_000 - chance.randint(1, 900) * 0.5:.2f}", f"{chance.randint(0, 9)}.0"] for _ in range(8)]
        return "depth@100ms", spot_depth("BTCUSDT", update, update, bids, [], now)
    if number % 6 == 4:
        return "trade", spot_trade("BTCUSDT", number, "50000.00", "0.10", "buy", now)
    bid, ask = ("49999.50", f"{chance.randint(1, 99)}.0"), ("50000.50", "2.0")
    return "bookTicker", spot_quote("BTCUSDT", update - 1, bid, ask)
