"""How long a worker takes to start, and to go on after a kill, with 100 and 1,000 books in its checkpoint table.

Against the same without books. A start is from the command until the table is restored ("Worker ready"), after a
regular stop. A recovery is from the kill until all that came since is published; it contains the six seconds after
which the broker gives a killed worker's partitions to the next. Books are of 400 levels a side, each with the few
checkpoints of a short life: a changelog that has not been compacted for long takes longer.
"""

import asyncio
import tempfile
import time
from itertools import count, islice
from pathlib import Path

from bench.harness import Result, paired
from bench.rigs.frames import Frame
from bench.rigs.many import changes, seeds
from bench.rigs.raw_topics import raw_records, send, until_done, worker
from marketprism.local.broker import Broker, free_port
from marketprism.local.processes import Child
from marketprism.ops.lag import LagReader
from marketprism.ops.topics import create_topics
from schemas.settings import Settings, load_settings

_BOOKS = (0, 100, 1_000)
_WAITING = 1_000  # BBOs that come while the worker is dead
_QUOTES = "market.quotes"
_PARTITIONS = 2


def measure(rounds: int = 1) -> list[Result]:
    numbers = count()
    with tempfile.TemporaryDirectory() as folder, Broker(Path(folder) / "kafka", free_port()) as broker:

        def times(books: int) -> tuple[float, float]:
            prefix = f"b{next(numbers)}."
            settings = load_settings(kafka=broker.bootstrap, topic_prefix=prefix, partitions=_PARTITIONS)
            asyncio.run(create_topics(settings))
            return _times(settings, books, worker(settings, Path(folder) / f"{prefix}log"))

        found = [[times(books) for books in _BOOKS] for _ in range(rounds)]
    results = []
    for which, title in enumerate(("start of a worker", "recovery of a killed worker")):
        none, *some = ([times[which] for times in of_books] for of_books in zip(*found, strict=True))
        for books, seconds in zip(_BOOKS[1:], some, strict=True):
            results.append(paired(f"{title}, {books:,} books", "s", "no books", seconds, none))
    return results


def _times(settings: Settings, books: int, child: Child) -> tuple[float, float]:
    """Start and recovery, s."""
    with child:
        asyncio.run(send(settings, raw_records(seeds(books), _PARTITIONS, each=1)))
        asyncio.run(until_done(settings))
    began = time.monotonic()
    with child:
        started = time.monotonic() - began
        return started, asyncio.run(_recovery(settings, child, _waiting(books)))


def _waiting(books: int) -> list[Frame]:
    """BBOs of all books; the same number whatever there is."""
    of_all = changes(books or _BOOKS[1], 2 * _WAITING)
    return list(islice((frame for frame in of_all if b"@bookTicker" in frame[2]), _WAITING))


async def _recovery(settings: Settings, child: Child, waiting: list[Frame]) -> float:
    async with LagReader(settings) as progress:
        published = (await progress.read()).records[_QUOTES]
        began = time.monotonic()
        child.kill()
        await send(settings, raw_records(waiting, _PARTITIONS))
        child.spawn()
        while (await progress.read()).records[_QUOTES] < published + len(waiting):
            await asyncio.sleep(0.01)
    return time.monotonic() - began
