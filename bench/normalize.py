"""Parse + normalize + book, frame by frame, against cryptofeed and against parsing alone; and with events out.

Nothing is encoded in the first: what both hand over are objects. `events` is the worker's way of a raw record to JSON.
"""

from collections.abc import Callable, Sequence

import orjson

from bench.cases import Result, compare, per_second
from bench.frames import Frame, records
from bench.rival import NAME, NoRival, cryptofeed
from schemas.feeds import feed_of
from schemas.instruments import assumed_instrument
from schemas.settings import load_settings
from streams.continuity import RULES
from streams.normalize import parse
from streams.normalize.events import Depth
from streams.order_book import OrderBook
from streams.raw_partition import RawPartition

_KINDS = {"mixed": b"", "trades": b"@trade", "BBO": b"@bookTicker", "depth": b"@depth"}
_RIVALS = {
    "binance:BTC-USDT": ("Binance", "BTC-USDT", "BTCUSDT"),
    "binance:BTC-USDT-PERP": ("BinanceFutures", "BTC-USDT-PERP", "BTCUSDT"),
}


def _of_kind(frames: Sequence[Frame], mark: bytes) -> list[Frame]:
    """The frames of one kind, and the snapshot that the book begins with."""
    return [frame for frame in frames if mark in frame[2][:80] or frame[2].startswith(b'{"lastUpdateId"')]


def _normalized(frames: Sequence[Frame]) -> Callable[[], None]:
    """Every frame to its events, the book kept."""
    exchange, _, symbol = frames[0][1].partition(":")
    feed = feed_of(exchange, symbol).name
    instrument, own = assumed_instrument(feed, exchange, symbol), [(stamp // 1000, frame) for stamp, _, frame in frames]

    def run() -> None:
        take = OrderBook(RULES[feed]).take
        for now, frame in own:
            for event in parse(frame, instrument, now):
                if type(event) is Depth:
                    take(event)

    return run


def _parsed(frames: Sequence[Frame]) -> Callable[[], None]:
    own = [frame for _, _, frame in frames]

    def run() -> None:
        for frame in own:
            orjson.loads(frame)

    return run


def measure(frames: Sequence[Frame]) -> list[Result]:
    """By instrument and kind of frame."""
    results = []
    for key in dict.fromkeys(frame[1] for frame in frames if frame[1] in _RIVALS):
        for kind, mark in _KINDS.items():
            chosen = _of_kind([frame for frame in frames if frame[1] == key], mark)
            results += _against_both(f"normalize + book: {key} {kind}", chosen)
    return results


def _against_both(name: str, frames: Sequence[Frame]) -> list[Result]:
    ours, floor = per_second(len(frames), _normalized(frames)), per_second(len(frames), _parsed(frames))
    results = [compare(name, "frames/s", ours, "orjson alone", floor)]
    try:
        with cryptofeed(*_RIVALS[frames[0][1]], frames) as rival:
            return [compare(name, "frames/s", ours, NAME, rival, is_rival=True), *results]
    except NoRival:
        return results


def measure_events(frames: Sequence[Frame]) -> list[Result]:
    """A raw record to JSON events, as a worker has it, by kind."""
    settings, results = load_settings(), []
    for kind, mark in _KINDS.items():
        chosen = _of_kind(frames, mark)
        values = records(chosen)

        def run(values: list[bytes] = values) -> None:
            partition = RawPartition("binance", 0, settings)
            for offset, value in enumerate(values):
                partition.process(offset, value)

        ours, floor = per_second(len(chosen), run), per_second(len(chosen), _parsed(chosen))
        results.append(compare(f"raw record to JSON events: {kind}", "frames/s", ours, "orjson alone", floor))
    return results
