"""One worker's cost per frame, as many frames spread over 10, 100 and 1,000 instruments; two workers beside one.

All frames are made, of 400 levels a side, and every instrument's book is live before anything is counted. The cost is
the worker process's CPU until nothing is left, checkpoints included: those of all books that changed, each second.
Two workers share the partitions of one topic. What counts is the clock, until the last trade is published; they have
the machine's cores together with the broker, so that with two cores they cannot be twice as fast.
"""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

from bench.harness import Result, paired
from bench.rigs.many import changes, seeds
from bench.rigs.raw_topics import cpu_seconds, raw_records, send, until_done, worker
from marketprism.local.broker import Broker, free_port
from marketprism.local.processes import Child
from marketprism.ops.lag import LagReader
from marketprism.ops.topics import create_topics
from schemas.settings import Settings, load_settings

_INSTRUMENTS = (10, 100, 1_000)
_SHARED = 100  # instruments of the topic that two workers share
_PAIRS = 2  # for one round of costs: the clock varies more than CPU does


def measure(frames: int = 100_000, rounds: int = 1) -> list[Result]:
    with _Scaling(frames) as scaling:
        costs = [[scaling.cost(instruments) for instruments in _INSTRUMENTS] for _ in range(rounds)]
        speeds = [(scaling.speed(2), scaling.speed(1)) for _ in range(_PAIRS * rounds)]
    few, *more = zip(*costs, strict=True)
    two, one = zip(*speeds, strict=True)
    return [
        *(
            paired(f"cost per frame, {instruments:,} instruments", "µs", f"{_INSTRUMENTS[0]} instruments", values, few)
            for instruments, values in zip(_INSTRUMENTS[1:], more, strict=True)
        ),
        paired("two workers", "frames/s of the clock", "one worker", two, one),
    ]


class _Scaling:
    """A broker, and fresh topics for every run."""

    def __init__(self, frames: int) -> None:
        self._frames = frames
        self._numbers = count()
        self._open = ExitStack()

    def __enter__(self) -> "_Scaling":
        self._folder = Path(self._open.enter_context(tempfile.TemporaryDirectory()))
        self._broker = self._open.enter_context(Broker(self._folder / "kafka", free_port()))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def cost(self, instruments: int) -> float:
        """One worker's CPU, µs per frame."""
        records = raw_records(changes(instruments, self._frames), 2)
        with self._workers(1, instruments) as (settings, [only]):
            before = cpu_seconds(only)
            asyncio.run(send(settings, records))
            asyncio.run(until_done(settings))
            return (cpu_seconds(only) - before) / self._frames * 1e6

    def speed(self, workers: int) -> float:
        """Frames per second of the clock."""
        records = raw_records(changes(_SHARED, self._frames), 2)
        trades = sum(1 for turn in range(self._frames) if turn // _SHARED % 6 == 4)
        with self._workers(workers, _SHARED) as (settings, _):
            return self._frames / asyncio.run(_seconds(settings, records, trades))

    @contextmanager
    def _workers(self, workers: int, instruments: int) -> Iterator[tuple[Settings, list[Child]]]:
        """So many workers that have these instruments' books, and nothing before them."""
        prefix = f"b{next(self._numbers)}."
        settings = load_settings(kafka=self._broker.bootstrap, topic_prefix=prefix, partitions=2)
        asyncio.run(create_topics(settings))
        with ExitStack() as running:
            logs = [self._folder / f"{prefix}{number}.log" for number in range(workers)]
            children = [running.enter_context(worker(settings, log)) for log in logs]
            asyncio.run(send(settings, raw_records(seeds(instruments), 2, each=1)))
            asyncio.run(until_done(settings))
            yield settings, children


async def _seconds(settings: Settings, records: list[tuple[int, bytes]], trades: int) -> float:
    """Until so many trades are published."""
    async with LagReader(settings) as progress:
        await progress.read()  # the first look takes longer than the others
        began = time.monotonic()
        await send(settings, records)
        while (await progress.read()).records["market.trades"] < trades:
            await asyncio.sleep(0.02)
    return time.monotonic() - began
