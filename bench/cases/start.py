"""How long a worker takes to start, and to recover from a kill, with 100 and 1,000 books in its checkpoint table.

Both are compared with a worker without books. The start is measured after a clean stop, from the command until the
table is restored ("books recovered"). The recovery is measured from the kill until every record sent since then is
published. It includes up to six seconds until the broker reassigns the killed worker's partitions. Books have 400
levels a side and few checkpoints each; if the changelog has gone long without compaction, both take longer.
"""

import asyncio
import tempfile
import time
from itertools import count, islice
from pathlib import Path

from bench.harness import Result, from_pairs
from bench.rigs.frames import Frame
from bench.rigs.many_instruments import changes, seeds
from bench.rigs.raw_topics import raw_records, send, until_workers_drained, worker
from marketprism.local.broker import Broker, free_port
from marketprism.local.processes import Child
from marketprism.ops.lag import LagReader
from marketprism.ops.topics import create_topics
from schemas.settings import Settings, load_settings

_BOOKS = (0, 100, 1_000)
_WAITING = 1_000  # BBOs sent while the worker is dead
_QUOTES = "market.quotes"
_PARTITIONS = 2


def measure(rounds: int = 1) -> list[Result]:
    """Measure start and recovery for each number of books."""
    numbers = count()
    with tempfile.TemporaryDirectory() as folder, Broker(Path(folder) / "kafka", free_port()) as broker:

        def times(books: int) -> tuple[float, float]:
            prefix = f"b{next(numbers)}."
            settings = load_settings(kafka=broker.bootstrap, topic_prefix=prefix, partitions=_PARTITIONS)
            asyncio.run(create_topics(settings))
            return _times(settings, books, worker(settings, Path(folder) / f"{prefix}log"))

        measured = [[times(books) for books in _BOOKS] for _ in range(rounds)]
    results = []
    for index, title in enumerate(("start of a worker", "recovery of a killed worker")):
        without, *others = ([times[index] for times in of_books] for of_books in zip(*measured, strict=True))
        for books, seconds in zip(_BOOKS[1:], others, strict=True):
            results.append(from_pairs(f"{title}, {books:,} books", "s", "no books", seconds, without))
    return results


def _times(settings: Settings, books: int, child: Child) -> tuple[float, float]:
    """Return the times of start and recovery, in seconds."""
    with child:
        asyncio.run(send(settings, raw_records(seeds(books), _PARTITIONS, frames_per_record=1)))
        asyncio.run(until_workers_drained(settings))
    began = time.monotonic()
    with child:
        started = time.monotonic() - began
        return started, asyncio.run(_recovery(settings, child, _waiting(books)))


def _waiting(books: int) -> list[Frame]:
    """Return BBOs of all books, the same number for any number of books."""
    frames = changes(books or _BOOKS[1], 2 * _WAITING)
    return list(islice((frame for frame in frames if b"@bookTicker" in frame[2]), _WAITING))


async def _recovery(settings: Settings, child: Child, waiting: list[Frame]) -> float:
    async with LagReader(settings) as lag:
        published = (await lag.count()).records[_QUOTES]
        began = time.monotonic()
        child.kill()
        await send(settings, raw_records(waiting, _PARTITIONS))
        child.spawn()
        while (await lag.count()).records[_QUOTES] < published + len(waiting):
            await asyncio.sleep(0.01)
    return time.monotonic() - began
