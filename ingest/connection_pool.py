"""All connections of one feed: groups of instruments, each with one supervisor per path."""

import asyncio
from collections.abc import Callable, Iterable, Iterator

import structlog

from ingest.connection_supervisor import ConnectionSupervisor
from ingest.supervision import supervise
from schemas.instruments import Instrument

# Takes a path, and the instruments by the exchange's name.
MakeSupervisor = Callable[[str, dict[str, Instrument]], ConnectionSupervisor]


class _Group:
    """Some instruments and their supervisors, by path. `tasks` run the supervisors."""

    def __init__(self, make_supervisor: MakeSupervisor, paths: Iterable[str]) -> None:
        self.instruments: dict[str, Instrument] = {}
        self.supervisors = {path: make_supervisor(path, self.instruments) for path in paths}
        self.tasks: list[asyncio.Task[None]] = []


class ConnectionPool:
    """Distributor of one feed's instruments over connections. Adding or removing one disturbs no other."""

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        make_supervisor: MakeSupervisor,
        paths: Iterable[str],
        books_path: str,
        group_size: int,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        """`books_path`: the path that serves books, empty if none; `group_size`: most instruments of a group."""
        self._tasks = tasks
        self._make_supervisor = make_supervisor
        self._paths = tuple(paths)
        self._books_path = books_path
        self._group_size = group_size
        self._log = log
        self._groups: list[_Group] = []
        self._group_of: dict[str, _Group] = {}  # by key

    def __iter__(self) -> Iterator[ConnectionSupervisor]:
        return (supervisor for group in self._groups for supervisor in group.supervisors.values())

    def books_supervisor(self, key: str) -> ConnectionSupervisor | None:
        """Return the supervisor that serves an instrument's book, if any."""
        group = self._group_of.get(key)
        return group.supervisors.get(self._books_path) if group else None

    def add(self, instruments: Iterable[Instrument]) -> None:
        """Add instruments to groups with free places, then to new ones.

        All are assigned to a group before its connections open.
        """
        new: dict[int, list[str]] = {}
        for instrument in instruments:
            group = next((each for each in self._groups if len(each.instruments) < self._group_size), None)
            if group is None:
                group = _Group(self._make_supervisor, self._paths)
                self._groups.append(group)
            group.instruments[instrument.exchange_symbol] = instrument
            self._group_of[instrument.key] = group
            new.setdefault(id(group), []).append(instrument.exchange_symbol)
        for group in self._groups:
            for supervisor in group.supervisors.values():
                supervisor.add(new.get(id(group), ()))
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
        group = self._group_of.pop(instrument.key)
        del group.instruments[instrument.exchange_symbol]
        for supervisor in group.supervisors.values():
            supervisor.remove(instrument.exchange_symbol)
        if not group.instruments:
            self._groups.remove(group)
            for task in group.tasks:
                task.cancel()
