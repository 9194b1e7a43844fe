"""Faults of connections: closed in all the ways there are, or left open and dead."""

import asyncio
from collections.abc import Collection
from typing import ClassVar, Protocol

from marketprism.simulator.plans import ConnectionFault, Disconnect, Heartbeat, Maintenance, Mute, Planted
from marketprism.simulator.server.connection import Connection
from marketprism.simulator.server.tasks import Tasks

_NOTICE = 0.1  # s between the announcement of a maintenance and its start


class Host(Protocol):
    """What these faults need of an exchange."""

    connections: set[Connection]
    heartbeat_close: ClassVar[tuple[int, str]]

    def announce_shutdown(self, connection: Connection) -> None: ...


class ConnectionFaults:
    """The planted faults of one feed's connections."""

    def __init__(self, host: Host, tasks: Tasks) -> None:
        self._host = host
        self._tasks = tasks
        self._muted: list[tuple[Planted, set[Connection]]] = []
        self._maintenances: list[Planted] = []

    def plant(self, planted: Planted, plan: ConnectionFault) -> None:
        symbol = "" if isinstance(plan, Maintenance) else plan.symbol
        hit = {connection for connection in self._host.connections if _carries(connection, symbol)}
        planted.result["connections"] = len(hit)
        planted.start()
        if isinstance(plan, Mute):
            self._mute(planted, hit)
        elif isinstance(plan, Disconnect | Heartbeat):
            self._end(hit, plan)
            planted.end()
        elif isinstance(plan, Maintenance):
            self._tasks.spawn(self._maintain(planted, plan.seconds))
        else:
            self._tasks.spawn(self._shut_down(planted, hit, plan.seconds))

    def refuses_handshake(self) -> bool:
        """Whether no connection may be opened now; counts it."""
        for planted in self._maintenances:
            planted.count("refused")
        return bool(self._maintenances)

    def on_gone(self, connection: Connection) -> None:
        for planted, muted in self._muted:
            muted.discard(connection)
            if not muted:
                planted.end()
        self._muted = [each for each in self._muted if each[1]]

    def _end(self, hit: Collection[Connection], plan: Disconnect | Heartbeat) -> None:
        code, reason = self._host.heartbeat_close if isinstance(plan, Heartbeat) else (plan.code, "")
        for connection in hit:
            if isinstance(plan, Disconnect) and not plan.close_frame:
                connection.abort()
            else:
                self._tasks.spawn(connection.close(code, reason))

    def _mute(self, planted: Planted, hit: set[Connection]) -> None:
        for connection in hit:
            connection.mute()
        if hit:
            self._muted.append((planted, hit))
        else:
            planted.end()

    async def _shut_down(self, planted: Planted, hit: Collection[Connection], seconds: float) -> None:
        for connection in hit:
            self._host.announce_shutdown(connection)
        await asyncio.sleep(seconds)
        await asyncio.gather(*(connection.close(1001) for connection in hit))
        planted.end()

    async def _maintain(self, planted: Planted, seconds: float) -> None:
        for connection in self._host.connections:
            self._host.announce_shutdown(connection)
        await asyncio.sleep(_NOTICE)
        self._maintenances.append(planted)
        for connection in self._host.connections:
            self._tasks.spawn(connection.close(1001))
        await asyncio.sleep(seconds)
        self._maintenances.remove(planted)
        planted.end()


def _carries(connection: Connection, symbol: str) -> bool:
    return not symbol or any(stream is not None and stream.symbol == symbol for stream in connection.streams.values())
