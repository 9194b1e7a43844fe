"""All connections of one feed: groups of instruments, each with a carrier per path."""

import asyncio
from collections.abc import Callable, Iterable, Iterator

import structlog

from ingest.connection_supervisor import ConnectionSupervisor
from ingest.supervision import supervise
from schemas.instruments import Instrument

# Of a path, and its instruments by the exchange's name.
Make = Callable[[str, dict[str, Instrument]], ConnectionSupervisor]


class _Group:
    """Some instruments and their carriers, by path; `tasks` are those that run the carriers."""

    def __init__(self, make: Make, paths: Iterable[str]) -> None:
        self.instruments: dict[str, Instrument] = {}
        self.carriers = {path: make(path, self.instruments) for path in paths}
        self.tasks: list[asyncio.Task[None]] = []


class ConnectionPool:
    """Take up, change and drop instruments; no other instrument's connection is touched."""

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        make: Make,
        paths: Iterable[str],
        books: str,
        most: int,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        """`books`: the path that serves them, or none; `most`: instruments of a group."""
        self._tasks = tasks
        self._make = make
        self._paths = tuple(paths)
        self._books = books
        self._most = most
        self._log = log
        self._groups: list[_Group] = []
        self._of: dict[str, _Group] = {}  # by key

    def __iter__(self) -> Iterator[ConnectionSupervisor]:
        return (carrier for group in self._groups for carrier in group.carriers.values())

    def of_books(self, key: str) -> ConnectionSupervisor | None:
        """The carrier of an instrument's book."""
        group = self._of.get(key)
        return group.carriers.get(self._books) if group else None

    def add(self, instruments: Iterable[Instrument]) -> None:
        """On a connection that has room, else on a new one. All are known before a new one opens."""
        new: dict[int, list[str]] = {}
        for instrument in instruments:
            group = next((each for each in self._groups if len(each.instruments) < self._most), None)
            if group is None:
                group = _Group(self._make, self._paths)
                self._groups.append(group)
            group.instruments[instrument.exchange_symbol] = instrument
            self._of[instrument.key] = group
            new.setdefault(id(group), []).append(instrument.exchange_symbol)
        for group in self._groups:
            for carrier in group.carriers.values():
                carrier.add(new.get(id(group), ()))
            if not group.tasks:
                group.tasks = [
                    self._tasks.create_task(supervise(f"connection {path}", carrier.run, self._log))
                    for path, carrier in group.carriers.items()
                ]

    def change(self, instrument: Instrument) -> None:
        """Its definition is another one."""
        self._of[instrument.key].instruments[instrument.exchange_symbol] = instrument

    def remove(self, instrument: Instrument) -> None:
        """Unsubscribe it; a group that is empty then is closed."""
        group = self._of.pop(instrument.key)
        del group.instruments[instrument.exchange_symbol]
        for carrier in group.carriers.values():
            carrier.remove(instrument.exchange_symbol)
        if not group.instruments:
            self._groups.remove(group)
            for task in group.tasks:
                task.cancel()
