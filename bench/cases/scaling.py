"""One worker's cost per frame with 10, 100 and 1,000 instruments, and two workers' speed and shares of the work.

The same number of generated frames is spread over all instruments. Books have 400 levels a side, and all are live
before the measurement. The cost is the worker process's CPU time until its lag is 0, including the checkpoints of all
changed books every second. Two workers share the partitions of one topic; their speed is measured by the clock until
the last trade is published. They share the machine's cores with the broker, so on two cores they are not twice as fast.
What each of two workers does with the default symbols is measured by `bench.rigs.two_workers`.
"""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from itertools import count
from pathlib import Path

from bench.harness import Result, from_pairs
from bench.rigs import two_workers
from bench.rigs.many_instruments import changes, seeds
from bench.rigs.raw_topics import cpu_seconds, raw_records, send, until_workers_drained, worker
from marketprism.local.broker import Broker, free_port
from marketprism.local.processes import Child
from marketprism.ops.lag import LagReader
from marketprism.ops.topics import create_topics
from schemas.settings import Settings, load_settings

_INSTRUMENTS = (10, 100, 1_000)
_SHARED = 100  # instruments of the topic that two workers share
_LOAD_S = 20.0  # of the default symbols
_PAIRS = 2  # of speeds per round of costs, as the clock varies more than CPU time


def measure(frames: int = 100_000, rounds: int = 1) -> list[Result]:
    """Measure costs and speeds."""
    with _Scaling(frames) as scaling:
        costs = [[scaling.cost(instruments) for instruments in _INSTRUMENTS] for _ in range(rounds)]
        shares = [scaling.shares() for _ in range(rounds)]
        speeds = [(scaling.speed(2), scaling.speed(1)) for _ in range(_PAIRS * rounds)]
    few, *more = zip(*costs, strict=True)
    two, one = zip(*speeds, strict=True)
    return [
        *(
            from_pairs(
                f"cost per frame, {instruments:,} instruments", "µs", f"{_INSTRUMENTS[0]} instruments", values, few
            )
            for instruments, values in zip(_INSTRUMENTS[1:], more, strict=True)
        ),
        from_pairs("two workers", "frames/s of the clock", "one worker", two, one),
        *(
            from_pairs(f"the busier worker's part of {what}", "%", "an even share", values, [50.0] * rounds)
            for what, values in zip(("frames", "quotes", "CPU time"), zip(*shares, strict=True), strict=True)
        ),
    ]


class _Scaling:
    """A running broker, with new topics for every measurement."""

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
        """Return one worker's CPU time per frame, in µs."""
        records = raw_records(changes(instruments, self._frames), 2)
        with self._workers(1, instruments) as (settings, [child]):
            before = cpu_seconds(child)
            asyncio.run(send(settings, records))
            asyncio.run(until_workers_drained(settings))
            return (cpu_seconds(child) - before) / self._frames * 1e6

    def shares(self) -> two_workers.Shares:
        """Return how two workers share the default symbols."""
        return two_workers.shares(self._broker.bootstrap, f"b{next(self._numbers)}.", self._folder, self._load)

    @cached_property
    def _load(self) -> two_workers.Records:
        return two_workers.collect(self._broker.bootstrap, self._folder, _LOAD_S)

    def speed(self, workers: int) -> float:
        """Return frames per second by the clock."""
        records = raw_records(changes(_SHARED, self._frames), 2)
        trades = sum(1 for turn in range(self._frames) if turn // _SHARED % 6 == 4)
        with self._workers(workers, _SHARED) as (settings, _):
            return self._frames / asyncio.run(_seconds(settings, records, trades))

    @contextmanager
    def _workers(self, workers: int, instruments: int) -> Iterator[tuple[Settings, list[Child]]]:
        """Run workers that hold these instruments' books and have no lag."""
        prefix = f"b{next(self._numbers)}."
        settings = load_settings(kafka=self._broker.bootstrap, topic_prefix=prefix, partitions=2)
        asyncio.run(create_topics(settings))
        with ExitStack() as running:
            logs = [self._folder / f"{prefix}{number}.log" for number in range(workers)]
            children = [running.enter_context(worker(settings, log)) for log in logs]
            asyncio.run(send(settings, raw_records(seeds(instruments), 2, frames_per_record=1)))
            asyncio.run(until_workers_drained(settings))
            yield settings, children


async def _seconds(settings: Settings, records: list[tuple[int, bytes]], trades: int) -> float:
    """Return the seconds until this number of trades is published."""
    async with LagReader(settings) as lag:
        await lag.count()  # the first call takes longer than the others
        began = time.monotonic()
        await send(settings, records)
        while (await lag.count()).records["market.trades"] < trades:
            await asyncio.sleep(0.02)
    return time.monotonic() - began
