"""Parse, normalize and apply to a book, frame by frame, compared with cryptofeed and with parsing alone.

Both produce objects, and nothing is encoded. HTX's frames are gzip, and both decompress them. The case `events`
measures the worker's whole path from a raw record to JSON events instead.
"""

import gzip
from collections.abc import Callable, Sequence

import orjson

from bench.harness import Result, compare, per_second
from bench.rigs.frames import Frame, load_others
from bench.rigs.raw_topics import raw_records
from bench.rigs.rival import NAME, NoRival, cryptofeed
from ingest.exchanges import CONNECTORS
from schemas.instruments import instrument_of_key
from schemas.settings import load_settings
from streams.books.order_book import OrderBook
from streams.normalize import parse
from streams.normalize.messages import BookMessage
from streams.raw_processor import RawProcessor

_KINDS = {"mixed": b"", "trades": b"@trade", "BBO": b"@bookTicker", "depth": b"@depth"}
_RIVALS = {
    "binance-spot": "Binance",
    "binance-usdm": "BinanceFutures",
    "okx": "OKX",
    "htx-spot": "Huobi",
    "htx-linear": "HuobiSwap",
    "deribit": "Deribit",
}
_SHOWN = ("binance:BTC-USDT", "binance:BTC-USDT-PERP")
_SEED = b'{"lastUpdateId"'
_MIN_FRAMES = 10_000  # per run; short recordings are repeated


def _of_kind(frames: Sequence[Frame], mark: bytes) -> list[Frame]:
    """Return the frames of one kind, and the snapshot that the book begins with."""
    return [frame for frame in frames if mark in frame[2][:80] or frame[2].startswith(_SEED)]


def _normalize(frames: Sequence[Frame]) -> Callable[[], None]:
    """Return work that normalizes every frame and applies book messages to a book."""
    instruments = {key: instrument_of_key(key) for key in dict.fromkeys(key for _, key, _ in frames)}
    feed = next(iter(instruments.values())).feed
    gzipped, decode = feed.startswith("htx"), CONNECTORS[feed]().decode
    own = [(stamp // 1000, key, gzip.compress(frame) if gzipped else frame) for stamp, key, frame in frames]

    def run() -> None:
        books = {key: OrderBook(feed) for key in instruments}
        for now, key, frame in own:
            for event in parse(decode(frame) if gzipped else frame, instruments[key], now):
                if type(event) is BookMessage:
                    books[key].take(event)

    return run


def _parse_only(frames: Sequence[Frame]) -> Callable[[], None]:
    """Return work that parses every frame."""
    own = [frame for _, _, frame in frames]

    def run() -> None:
        for frame in own:
            orjson.loads(frame)

    return run


def _repeat(work: Callable[[], None], times: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(times):
            work()

    return run


def measure(frames: Sequence[Frame], rounds: int) -> list[Result]:
    """Measure Binance by instrument and kind of frame, then the recordings of the other exchanges."""
    results = []
    for key in dict.fromkeys(key for _, key, _ in frames if key in _SHOWN):
        for kind, mark in _KINDS.items():
            selected = _of_kind([frame for frame in frames if frame[1] == key], mark)
            results += _against_both(f"normalize + book: {key} {kind}", selected, rounds)
    for feed, recorded in load_others():
        results += _against_both(f"normalize + book: {feed}", recorded, rounds)
    return results


def _against_both(name: str, frames: Sequence[Frame], rounds: int) -> list[Result]:
    times = 1 + _MIN_FRAMES // len(frames)
    ours = per_second(times * len(frames), _repeat(_normalize(frames), times))
    floor = per_second(times * len(frames), _repeat(_parse_only(frames), times))
    results = [compare(name, "frames/s", ours, "orjson alone", floor, rounds)]
    instruments = [instrument_of_key(key) for key in dict.fromkeys(key for _, key, _ in frames)]
    symbols = [instrument.exchange_symbol for instrument in instruments]
    try:
        with cryptofeed(_RIVALS[instruments[0].feed], symbols, times, frames) as rival:
            return [compare(name, "frames/s", ours, NAME, rival, rounds, is_rival=True), *results]
    except NoRival:
        return results


def measure_events(frames: Sequence[Frame], rounds: int) -> list[Result]:
    """Measure raw records to JSON events in a worker's processor, by kind of frame; BBOs with and without a book."""
    settings, results = load_settings(), []
    kinds = {kind: _of_kind(frames, mark) for kind, mark in _KINDS.items()}
    kinds["BBO without a book"] = [frame for frame in kinds["BBO"] if not frame[2].startswith(_SEED)]
    for kind, selected in kinds.items():
        values = [value for _, value in raw_records(selected, 1)]

        def run(values: list[bytes] = values) -> None:
            partition = RawProcessor("binance", 0, settings)
            for offset, value in enumerate(values):
                partition.process(offset, value)

        ours, floor = per_second(len(selected), run), per_second(len(selected), _parse_only(selected))
        results.append(compare(f"raw record to JSON events: {kind}", "frames/s", ours, "orjson alone", floor, rounds))
    return results
