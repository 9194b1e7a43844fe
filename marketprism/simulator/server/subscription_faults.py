"""Faults of subscriptions, which stay silent or are rejected."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from marketprism.simulator.plans import Planted, Refuse, Silent, SubscriptionFault
from marketprism.simulator.server.connection import Connection, Stream


@dataclass(eq=False)
class _Silence:
    """One planted `Silent`. `streams`: names of the silent streams by connection, which is not their subscriber."""

    planted: Planted
    plan: Silent
    streams: dict[Connection, set[str]] = field(default_factory=dict)

    def add(self, connection: Connection, stream: Stream) -> None:
        if connection not in self.streams:
            self.planted.count("connections")
        self.streams.setdefault(connection, set()).add(stream.name)

    def strikes(self, connection: Connection, stream: Stream) -> bool:
        """Return whether a new subscription stays silent."""
        if connection not in self.streams and self.planted.started_at:
            return False
        if stream.name in self.streams.get(connection, ()) and self.plan.until == "resubscribe":
            del self.streams[connection]
            return False
        self.add(connection, stream)
        return True


class SubscriptionFaults:
    """The planted `Silent` and `Refuse` of one feed."""

    def __init__(self) -> None:
        self._silences: list[_Silence] = []
        self._rejections: list[tuple[Planted, Refuse]] = []

    def plant(self, planted: Planted, plan: SubscriptionFault, streams: Iterable[Stream]) -> None:
        """Arm a `Refuse`, or silence those of the exchange's streams that the plan names."""
        if isinstance(plan, Refuse):
            self._rejections.append((planted, plan))
            return
        silence = _Silence(planted, plan)
        for stream in streams:
            if _matches(plan, stream):
                for connection in stream.subscribers:
                    silence.add(connection, stream)
                stream.subscribers.clear()
        self._silences.append(silence)

    def silences(self, connection: Connection, stream: Stream) -> bool:
        """Return whether a new subscription stays silent."""
        silent = [s.strikes(connection, stream) for s in self._silences if _matches(s.plan, stream)]
        self._end_silences()
        return any(silent)

    def rejects(self, streams: Iterable[Stream | None]) -> bool:
        """Count a request to subscribe to these streams, and return whether it is rejected."""
        matching = [
            (planted, plan)
            for planted, plan in self._rejections
            if any(stream is not None and _matches(plan, stream) for stream in streams)
        ]
        for planted, plan in matching:
            if planted.count("requests") == plan.count:
                planted.end()
                self._rejections.remove((planted, plan))
        return bool(matching)

    def on_disconnect(self, connection: Connection) -> None:
        """End the silences whose last connection this was."""
        for silence in self._silences:
            silence.streams.pop(connection, None)
        self._end_silences()

    def _end_silences(self) -> None:
        for silence in [each for each in self._silences if each.planted.started_at and not each.streams]:
            self._silences.remove(silence)
            silence.planted.end()


def _matches(plan: SubscriptionFault, stream: Stream) -> bool:
    return stream.channel == plan.channel and stream.belongs_to(plan.symbol)
