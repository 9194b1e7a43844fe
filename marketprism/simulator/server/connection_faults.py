"""Faults of connections: closed in every way the exchange knows, or left open and dead."""

import asyncio
from collections.abc import Collection
from typing import ClassVar, Protocol

from marketprism.simulator.plans import ConnectionFault, Disconnect, Heartbeat, Maintenance, Mute, Planted
from marketprism.simulator.server.connection import Connection
from marketprism.simulator.server.tasks import Tasks

_NOTICE = 0.1  # s between the announcement and the start of a maintenance


class Host(Protocol):
    """The parts of an exchange server that these faults use."""

    connections: set[Connection]
    heartbeat_close: ClassVar[tuple[int, str]]

    def announce_shutdown(self, connection: Connection) -> None:
        """Announce to a client that its connection will be closed."""


class ConnectionFaults:
    """The planted connection faults of one feed."""

    def __init__(self, host: Host, tasks: Tasks) -> None:
        self._host = host
        self._tasks = tasks
        self._muted: list[tuple[Planted, set[Connection]]] = []
        self._maintenances: list[Planted] = []

    def plant(self, planted: Planted, plan: ConnectionFault) -> None:
        """Strike all connections, or those subscribed to the plan's symbol."""
        symbol = "" if isinstance(plan, Maintenance) else plan.symbol
        struck = {connection for connection in self._host.connections if _is_subscribed(connection, symbol)}
        planted.result["connections"] = len(struck)
        planted.start()
        if isinstance(plan, Mute):
            self._mute(planted, struck)
        elif isinstance(plan, Disconnect | Heartbeat):
            self._close(struck, plan)
            planted.end()
        elif isinstance(plan, Maintenance):
            self._tasks.spawn(self._maintain(planted, plan.seconds))
        else:
            self._tasks.spawn(self._shut_down(planted, struck, plan.seconds))

    def rejects_handshake(self) -> bool:
        """Return whether a maintenance forbids new connections, and count the attempt."""
        for planted in self._maintenances:
            planted.count("refused")
        return bool(self._maintenances)

    def on_disconnect(self, connection: Connection) -> None:
        """End the mutes whose last connection this was."""
        for planted, muted in self._muted:
            muted.discard(connection)
            if not muted:
                planted.end()
        self._muted = [each for each in self._muted if each[1]]

    def _close(self, struck: Collection[Connection], plan: Disconnect | Heartbeat) -> None:
        code, reason = self._host.heartbeat_close if isinstance(plan, Heartbeat) else (plan.code, "")
        for connection in struck:
            if isinstance(plan, Disconnect) and not plan.close_frame:
                connection.abort()
            else:
                self._tasks.spawn(connection.close(code, reason))

    def _mute(self, planted: Planted, struck: set[Connection]) -> None:
        for connection in struck:
            connection.mute()
        if struck:
            self._muted.append((planted, struck))
        else:
            planted.end()

    async def _shut_down(self, planted: Planted, struck: Collection[Connection], seconds: float) -> None:
        for connection in struck:
            self._host.announce_shutdown(connection)
        await asyncio.sleep(seconds)
        await asyncio.gather(*(connection.close(1001) for connection in struck))
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


def _is_subscribed(connection: Connection, symbol: str) -> bool:
    return not symbol or any(stream is not None and stream.belongs_to(symbol) for stream in connection.streams.values())
