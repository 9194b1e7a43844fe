"""The book's data structure, compared with others: updates of 36 levels, each followed by reading the best five."""

import random
from collections.abc import Callable, MutableMapping
from typing import Protocol

from sortedcontainers import SortedDict

from bench.harness import Result, compare, per_second
from streams.books.book import Side
from streams.levels import Level
from streams.normalize.book_sides import levels
from streams.normalize.messages import CheckedLevels

_UPDATES, _CHANGES, _TOP = 2_000, 36, 5
_DEPTHS = (20, 400, 5_000)


class _Structure(Protocol):
    def update(self, side: CheckedLevels) -> None: ...

    def top(self, count: int) -> object: ...


class _Bare:
    """A dictionary without order: the floor of every structure that is based on one."""

    def __init__(self, levels: MutableMapping[float, Level] | None = None) -> None:
        self._levels: MutableMapping[float, Level] = {} if levels is None else levels

    def update(self, side: CheckedLevels) -> None:
        held = self._levels
        for (price, amount), level in zip(side.numbers, side.levels, strict=True):
            if amount:
                held[price] = level
            else:
                held.pop(price, None)

    def top(self, count: int) -> object:
        return None


class _Sorted(_Bare):
    """A sortedcontainers dictionary, which many books in Python use."""

    def __init__(self) -> None:
        self._sorted = SortedDict()
        super().__init__(self._sorted)

    def top(self, count: int) -> object:
        held = self._sorted
        return [held.peekitem(-rank)[1] for rank in range(1, min(count, len(held)) + 1)]


def _updates(depth: int) -> list[CheckedLevels]:
    """Return first all levels, then changes, more likely near the best price; about half of them are deletions."""
    chance = random.Random(depth)
    ranks = [min(int(chance.expovariate(6 / depth)), depth - 1) for _ in range(_UPDATES * _CHANGES)]
    first = levels([[f"{100_000 - rank}", "1.5"] for rank in range(depth)])
    changes = [[f"{100_000 - rank}", chance.choice(["0", "2.5"])] for rank in ranks]
    return [first, *(levels(changes[at : at + _CHANGES]) for at in range(0, len(changes), _CHANGES))]


def measure() -> list[Result]:
    """Measure books of several depths."""
    results = []
    for depth in _DEPTHS:
        updates = _updates(depth)

        def work(create: Callable[[], _Structure], updates: list[CheckedLevels] = updates) -> Callable[[], None]:
            def run() -> None:
                structure = create()
                for update in updates:
                    structure.update(update)
                    structure.top(_TOP)

            return run

        changes = len(updates) * _CHANGES
        ours = per_second(changes, work(lambda: Side(are_bids=True)))
        name = f"book of {depth:,} levels"
        rival = per_second(changes, work(_Sorted))
        results.append(compare(name, "changes/s", ours, "sortedcontainers", rival, is_rival=True))
        results.append(compare(name, "changes/s", ours, "a bare dict", per_second(changes, work(_Bare))))
    return results
