"""What candles cost: the same trades from raw record to events, with and without candles made of them.

Every second of the recording has its tick, so that candles close and running ones are published as in a worker. Two
workers receive many instruments' trades at the pace of the exchange, one with candles and one without; others catch up
with recorded ones as fast as they can. The memory is that of a thousand instruments' open candles.
"""

import asyncio
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import orjson

from bench.harness import Result, compare, from_pairs, per_second
from bench.rigs.frames import Frame
from bench.rigs.many_instruments import bases
from bench.rigs.paced_trades import SECOND, copied, lines_of, send_paced, tick, trades_of
from bench.rigs.raw_topics import cpu_seconds, fill, until_workers_drained, worker, worker_cpu
from marketprism.local.broker import Broker, free_port
from marketprism.ops.topics import create_topics
from marketprism.simulator.exchanges.binance.frames import combined, spot_trade
from schemas.keys import key_of
from schemas.raw import encode_line
from schemas.settings import Settings, load_settings
from schemas.topics import raw_topic
from streams.raw_processor import RawProcessor

_INSTRUMENTS = 1_000
_LINES = 20  # of a record
_WITHOUT = "without candles"
_COPIES = 15  # of each instrument's trades
_WARM_UP_S, _PACED_S = 5, 25
_OPEN_S = 6  # seconds of trades, so that candles of every length are open
_BEGIN = 1_790_000_000 * SECOND


def measure(frames: Sequence[Frame], rounds: int = 5) -> list[Result]:
    """Measure trades per second, and the bytes of a thousand instruments' open candles."""
    paced = trades_of(frames)
    lines, trades = [line for _, line in lines_of(paced)], len(paced)
    ours = per_second(trades, _process(lines, load_settings()))
    bare = per_second(trades, _process(lines, load_settings(candle_intervals=())))
    speed = compare("trades with candles", "trades/s", ours, _WITHOUT, bare, rounds)
    sizes = [_megabytes(load_settings(**setting)) for setting in ({}, {"candle_intervals": ()})]
    name = f"memory: {_INSTRUMENTS:,} instruments with open candles"
    memory = from_pairs(name, "MB", _WITHOUT, sizes[:1], sizes[1:])
    return [_at_pace(paced, rounds), speed, _in_workers(lines, trades, rounds), memory]


def _at_pace(trades: Sequence[Frame], rounds: int) -> Result:
    """Measure a worker's CPU time per trade while it receives trades at the pace at which the exchange sent them."""
    paced = copied(trades, _COPIES, _WARM_UP_S + _PACED_S)
    measured = sum(stamp - paced[0][0] >= _WARM_UP_S * SECOND for stamp, *_ in paced)
    with tempfile.TemporaryDirectory() as folder, Broker(Path(folder) / "kafka", free_port()) as broker:
        pairs = [_paced_pair(broker.bootstrap, Path(folder), number, paced) for number in range(rounds)]
    ours, bare = ([seconds / measured * 1e6 for seconds in each] for each in zip(*pairs, strict=True))
    name = f"worker at the exchange's pace, {len({key for _, key, _ in paced})} instruments: CPU per trade"
    return from_pairs(name, "µs", _WITHOUT, ours, bare)


def _paced_pair(kafka: str, folder: Path, number: int, trades: Sequence[Frame]) -> tuple[float, float]:
    """Return the CPU seconds of a worker with candles and of one without, which receive the same at the same time."""
    both = [
        load_settings(kafka=kafka, topic_prefix=f"paced{number}{name}.", partitions=1, **changes)
        for name, changes in (("on", {}), ("off", {"candle_intervals": ()}))
    ]
    for settings in both:
        asyncio.run(create_topics(settings))
    topics = [settings.topic(raw_topic("binance")) for settings in both]
    with ExitStack() as stack:
        workers = [stack.enter_context(worker(each, folder / f"{each.topic_prefix}log")) for each in both]
        before: list[float] = []
        asyncio.run(send_paced(kafka, topics, trades, _WARM_UP_S, lambda: before.extend(map(cpu_seconds, workers))))
        for settings in both:
            asyncio.run(until_workers_drained(settings))
        ours, bare = (cpu_seconds(each) - begun for each, begun in zip(workers, before, strict=True))
    return ours, bare


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
            now, name = _BEGIN + second * SECOND + number, symbol.replace("-", "")
            price, amount = f"{50_000 + number + second}.00", f"0.{second + 1:03}"
            body = spot_trade(name, second, price, amount, "buy", now // 10**6)
            frame = orjson.dumps(combined(f"{name.lower()}@trade", body))
            yield encode_line(now, key_of("binance", symbol), frame)
        yield tick(_BEGIN + second * SECOND + SECOND // 2)
