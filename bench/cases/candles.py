"""What candles cost: the same trades from raw record to events, with and without candles made of them.

Every second of the recording has its tick, so that candles close and running ones are published as in a worker. The
memory is that of the objects that a thousand instruments' open candles consist of.
"""

import asyncio
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path

import orjson

from bench.harness import Result, compare, from_pairs, per_second
from bench.rigs.frames import Frame
from bench.rigs.many_instruments import bases
from bench.rigs.raw_topics import fill, worker_cpu
from marketprism.local.broker import Broker, free_port
from marketprism.simulator.exchanges.binance.frames import combined, spot_trade
from schemas.keys import EVERY, key_of
from schemas.markers import Tick
from schemas.raw import encode_line, encode_marker
from schemas.settings import Settings, load_settings
from streams.raw_processor import RawProcessor

_TRADE = b'@trade"'
_HEAD = 60  # bytes of a frame that hold its stream's name
_SECOND = 1_000_000_000  # ns
_INSTRUMENTS = 1_000
_LINES = 20  # of a record
_WITHOUT = "without candles"
_OPEN_S = 6  # seconds of trades, so that candles of every length are open
_BEGIN = 1_790_000_000 * _SECOND


def measure(frames: Sequence[Frame], rounds: int = 5) -> list[Result]:
    """Measure trades per second, and the bytes of a thousand instruments' open candles."""
    lines = _lines(frames)
    trades = sum(_TRADE in line[: 2 * _HEAD] for line in lines)
    ours = per_second(trades, _process(lines, load_settings()))
    bare = per_second(trades, _process(lines, load_settings(candle_intervals=())))
    speed = compare("trades with candles", "trades/s", ours, _WITHOUT, bare, rounds)
    sizes = [_megabytes(load_settings(**setting)) for setting in ({}, {"candle_intervals": ()})]
    name = f"memory: {_INSTRUMENTS:,} instruments with open candles"
    return [speed, _in_workers(lines, trades, rounds), from_pairs(name, "MB", _WITHOUT, sizes[:1], sizes[1:])]


def _in_workers(lines: Sequence[bytes], trades: int, rounds: int) -> Result:
    """Measure trades per second of a worker's CPU time, from the raw topic to published events."""
    numbers = count()
    records = [(0, b"".join(lines[at : at + _LINES])) for at in range(0, len(lines), _LINES)]
    with tempfile.TemporaryDirectory() as folder, Broker(Path(folder) / "kafka", free_port()) as broker:

        def run(**changes: object) -> float:
            base = {"kafka": broker.bootstrap, "topic_prefix": f"b{next(numbers)}.", "partitions": 1}
            settings = load_settings(**base | changes)
            asyncio.run(fill(settings, records))
            return trades / worker_cpu(settings, Path(folder) / f"{next(numbers)}.log")

        name = "worker: trades with candles"
        return compare(name, "trades/s", run, _WITHOUT, lambda: run(candle_intervals=()), rounds)


def _lines(frames: Sequence[Frame]) -> list[bytes]:
    """Return the trades, each as a record, and a tick for every second."""
    trades = [frame for frame in frames if _TRADE in frame[2][:_HEAD]]
    lines, due = [], trades[0][0]
    for stamp, key, frame in trades:
        while due <= stamp:
            lines.append(_tick(due))
            due += _SECOND
        lines.append(encode_line(stamp, key, frame))
    return lines


def _tick(at: int) -> bytes:
    return encode_marker(at, key_of("binance", EVERY), Tick(feeds=[]))


def _process(lines: Sequence[bytes], settings: Settings) -> Callable[[], None]:
    def run() -> None:
        partition = RawProcessor("binance", 0, settings)
        for offset, line in enumerate(lines):
            partition.process(offset, line)

    return run


def _megabytes(settings: Settings) -> float:
    """Return the memory of many instruments' processors after some seconds with a trade each."""
    symbols = [f"{base}-USDT" for base in bases(_INSTRUMENTS)]
    partition = RawProcessor("binance", 0, settings)
    tracemalloc.start()
    for offset, line in enumerate(_trades_of(symbols)):
        partition.process(offset, line)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size / 1e6


def _trades_of(symbols: Sequence[str]) -> Iterator[bytes]:
    for second in range(_OPEN_S):
        for number, symbol in enumerate(symbols):
            now, name = _BEGIN + second * _SECOND + number, symbol.replace("-", "")
            price, amount = f"{50_000 + number + second}.00", f"0.{second + 1:03}"
            body = spot_trade(name, second, price, amount, "buy", now // 10**6)
            frame = orjson.dumps(combined(f"{name.lower()}@trade", body))
            yield encode_line(now, key_of("binance", symbol), frame)
        yield _tick(_BEGIN + second * _SECOND + _SECOND // 2)
