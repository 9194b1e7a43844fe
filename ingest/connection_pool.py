"""All connections of one feed: groups of instruments, each with one supervisor per path."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence

import structlog

from ingest.balance import Loads, balance
from ingest.connection_supervisor import ConnectionSupervisor
from ingest.move import Pair, move
from ingest.supervision import supervise
from schemas.instruments import Instrument

_NAMED = 5  # instruments that are named in the log

# Takes a path, and the instruments by the exchange's name.
MakeSupervisor = Callable[[str, dict[str, Instrument]], ConnectionSupervisor]


class _Group:
    """Some instruments and their supervisors, by path. `tasks` run the supervisors."""

    def __init__(self, make_supervisor: MakeSupervisor, paths: Iterable[str]) -> None:
        self.instruments: dict[str, Instrument] = {}
        self.supervisors = {path: make_supervisor(path, self.instruments) for path in paths}
        self.tasks: list[asyncio.Task[None]] = []

    def load(self, seconds: float) -> dict[str, float]:
        """Return the frames/s of each instrument since the last call, `seconds` ago."""
        load = dict.fromkeys(self.instruments, 0.0)
        for supervisor in self.supervisors.values():
            for symbol, frames in supervisor.take_frames():
                if symbol in load:
                    load[symbol] += frames / seconds
        return load

    def remove(self, symbol: str) -> None:
        """Unsubscribe from an instrument."""
        del self.instruments[symbol]
        for supervisor in self.supervisors.values():
            supervisor.remove(symbol)

    def close(self) -> None:
        """Close the connections."""
        for task in self.tasks:
            task.cancel()


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

    @property
    def has_books(self) -> bool:
        """Whether any path serves books."""
        return bool(self._books_path)

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
        self._group_of.pop(instrument.key).remove(instrument.exchange_symbol)
        self._close_empty()

    def _close_empty(self) -> None:
        for group in [group for group in self._groups if not group.instruments]:
            self._groups.remove(group)
            group.close()

    # Balancing

    def loads(self, seconds: float) -> list[Loads]:
        """Return the frames/s of each instrument since the last call, `seconds` ago, for each group."""
        return [group.load(seconds) for group in self._groups]

    async def balance(self, loads: Sequence[Loads]) -> None:
        """Move instruments until all groups carry about the same. `loads`: what they carry now."""
        groups, places = list(self._groups), balance(loads, self._group_size)
        for number, source in enumerate(groups):
            for place in sorted({places[name] for name in loads[number].keys() & places.keys()}):
                names = [name for name in loads[number] if places.get(name) == place]
                await self._move(source, groups[place], names)
        self._close_empty()

    async def _move(self, source: _Group, target: _Group, names: Iterable[str]) -> None:
        """Move instruments from one group to another without a gap. If that fails, they stay."""
        names = [name for name in names if name in source.instruments]
        pairs = self._pairs(source, target)
        if not names or not pairs or target not in self._groups:
            return
        target.instruments.update((name, source.instruments[name]) for name in names)
        failure = await move(names, pairs)
        for name in names:
            instrument = source.instruments.get(name)  # perhaps changed meanwhile; None: delisted
            if instrument is None or failure:
                target.remove(name)
            else:
                target.instruments[name], self._group_of[instrument.key] = instrument, target
                source.remove(name)
        log = self._log.bind(instruments=len(names), symbols=names[:_NAMED])
        log.warning("not moved", reason=failure) if failure else log.info("moved to another connection")

    def _pairs(self, source: _Group, target: _Group) -> list[Pair]:
        """Return the connections between which instruments can move now, of every path; empty if they cannot."""
        pairs: list[Pair] = []
        for path in self._paths:
            old, new = source.supervisors[path].connection, target.supervisors[path].connection
            if old is None and new is None:  # the path has no channel for such instruments
                continue
            if old is None or new is None or not (old.is_steady and new.is_steady):
                return []
            pairs.append((old, new))
        return pairs
