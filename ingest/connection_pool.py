"""All connections of one feed: groups of instruments, each with one connection per path."""

import asyncio
import itertools
from collections.abc import Iterable, Iterator

import structlog

from ingest.balance import Loads
from ingest.connection_group import ConnectionGroup, MakeSupervisor
from ingest.connection_supervisor import ConnectionSupervisor
from ingest.move import UNSTEADY, move
from ingest.supervision import supervise
from schemas.connections import ConnectionReport
from schemas.instruments import Instrument


class ConnectionPool:
    """Distributor of one feed's instruments over connections. Adding or removing one disturbs no other.

    `capacity`: the most instruments of a group.
    """

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        make_supervisor: MakeSupervisor,
        paths: Iterable[str],
        books_path: str,
        capacity: int,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        """`books_path`: the path that serves books, empty if none."""
        self.groups: list[ConnectionGroup] = []
        self.capacity = capacity
        self._tasks = tasks
        self._make_supervisor = make_supervisor
        self._paths = tuple(paths)
        self._books_path = books_path
        self._log = log
        self._numbers = itertools.count(1)
        self._group_of: dict[str, ConnectionGroup] = {}  # by key

    def __iter__(self) -> Iterator[ConnectionSupervisor]:
        return (supervisor for group in self.groups for supervisor in group.supervisors.values())

    def group_of(self, key: str) -> ConnectionGroup | None:
        """Return the group of an instrument, if it has one."""
        return self._group_of.get(key)

    @property
    def has_books(self) -> bool:
        """Whether any path serves books."""
        return bool(self._books_path)

    def books_supervisor(self, key: str) -> ConnectionSupervisor | None:
        """Return the supervisor that serves an instrument's book, if any."""
        group = self.group_of(key)
        return group.supervisors.get(self._books_path) if group else None

    def report(self) -> list[ConnectionReport]:
        """Return the state of every connection."""
        return [each for group in self.groups for each in group.report()]

    def loads(self, seconds: float) -> list[Loads]:
        """Return the frames/s of each instrument since the last call, `seconds` ago, for each group."""
        return [group.load(seconds) for group in self.groups]

    def has_place(self, group: ConnectionGroup) -> bool:
        """Whether a group can take one more instrument."""
        return len(group.instruments) < self.capacity

    def add(self, instruments: Iterable[Instrument]) -> None:
        """Add instruments to groups with free places, then to new ones.

        All are assigned to a group before its connections open.
        """
        new: dict[int, list[str]] = {}
        for instrument in instruments:
            group = next(filter(self.has_place, self.groups), None)
            if group is None:
                group = ConnectionGroup(next(self._numbers), self._make_supervisor, self._paths)
                self.groups.append(group)
            group.instruments[instrument.exchange_symbol] = instrument
            self._group_of[instrument.key] = group
            new.setdefault(group.number, []).append(instrument.exchange_symbol)
        for group in self.groups:
            for supervisor in group.supervisors.values():
                supervisor.add(new.get(group.number, ()))
            if not group.tasks:
                group.tasks = [
                    self._tasks.create_task(supervise(f"connection {path}", supervisor.run, self._log))
                    for path, supervisor in group.supervisors.items()
                ]

    def change(self, instrument: Instrument) -> None:
        """Replace an instrument's definition."""
        self._group_of[instrument.key].instruments[instrument.exchange_symbol] = instrument

    def remove(self, instrument: Instrument) -> None:
        """Unsubscribe from an instrument. The connections of a group that is now empty are closed."""
        self._group_of.pop(instrument.key).remove(instrument.exchange_symbol)
        self.close_empty()

    def close_empty(self) -> None:
        """Close the connections of groups without instruments."""
        for group in [group for group in self.groups if not group.instruments]:
            self.groups.remove(group)
            group.close()

    async def move(self, names: Iterable[str], source: ConnectionGroup, target: ConnectionGroup, reason: str) -> str:
        """Move instruments, by the exchange's names, without a gap. Return why they stay; empty if they have moved.

        `reason`: why they move.
        """
        names = [name for name in names if name in source.instruments]
        pairs = source.pairs_with(target, names)
        if not names or not pairs or target not in self.groups:
            return UNSTEADY
        target.instruments.update((name, source.instruments[name]) for name in names)
        failure = await move(names, pairs, reason)
        for name in names:
            instrument = source.instruments.get(name)  # perhaps changed meanwhile; None: delisted
            if instrument is None or failure:
                target.remove(name)
            else:
                target.instruments[name], self._group_of[instrument.key] = instrument, target
                source.remove(name)
        return failure
