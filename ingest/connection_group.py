"""Some instruments of a feed, and the connections that serve them: one per path, each with its supervisor."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from ingest.connection_supervisor import ConnectionSupervisor
from ingest.move import Pair
from schemas.connections import ConnectionReport
from schemas.instruments import Instrument

# Takes a path, and the instruments by the exchange's name.
MakeSupervisor = Callable[[str, dict[str, Instrument]], ConnectionSupervisor]


class ConnectionGroup:
    """Group of instruments, by the exchange's name, with their supervisors by path. `tasks` run the supervisors.

    `number` names the group and its connections.
    """

    def __init__(self, number: int, make_supervisor: MakeSupervisor, paths: Iterable[str]) -> None:
        self.number = number
        self.instruments: dict[str, Instrument] = {}
        self.supervisors = {path: make_supervisor(path, self.instruments) for path in paths}
        self.tasks: list[asyncio.Task[None]] = []

    @property
    def frames(self) -> float:
        """The frames/s that its connections received when they were last reported."""
        return sum(supervisor.throughput.frames for supervisor in self.supervisors.values())

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

    def pairs_with(self, target: "ConnectionGroup", symbols: Sequence[str]) -> list[Pair]:
        """Return the connections between which these can move now, of each path that they need; empty if none can."""
        pairs: list[Pair] = []
        for path, supervisor in self.supervisors.items():
            if not supervisor.serves(symbols):
                continue
            old, new = supervisor.connection, target.supervisors[path].connection
            if old is None or new is None or not (old.is_steady and new.is_steady):
                return []
            pairs.append((old, new))
        return pairs

    def report(self) -> list[ConnectionReport]:
        """Return the state of the connections that its instruments need."""
        return [supervisor.report(self.number) for supervisor in self.supervisors.values() if supervisor.is_needed]
