"""Faults of subscriptions: those that stay silent, and those that are refused."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from marketprism.simulator.plans import Planted, Refuse, Silent, SubscriptionFault
from marketprism.simulator.server.connection import Connection, Stream


@dataclass(eq=False)
class _Silence:
    """`held`: the streams of each connection that are silent. Such a connection is no subscriber of theirs."""

    planted: Planted
    plan: Silent
    held: dict[Connection, set[str]] = field(default_factory=dict)

    def hold(self, connection: Connection, stream: Stream) -> None:
        if connection not in self.held:
            self.planted.count("connections")
        self.held.setdefault(connection, set()).add(stream.name)

    def holds(self, connection: Connection, stream: Stream) -> bool:
        """Whether this subscription, which comes now, stays silent."""
        if connection not in self.held and self.planted.started_at:
            return False
        if stream.name in self.held.get(connection, ()) and self.plan.until == "resubscribe":
            del self.held[connection]
            return False
        self.hold(connection, stream)
        return True


class SubscriptionFaults:
    """The planted `Silent` and `Refuse` of one feed."""

    def __init__(self) -> None:
        self._silences: list[_Silence] = []
        self._refusals: list[tuple[Planted, Refuse]] = []

    def plant(self, planted: Planted, plan: SubscriptionFault, streams: Iterable[Stream]) -> None:
        if isinstance(plan, Refuse):
            self._refusals.append((planted, plan))
            return
        silence = _Silence(planted, plan)
        for stream in streams:
            if _concerns(plan, stream):
                for connection in stream.subscribers:
                    silence.hold(connection, stream)
                stream.subscribers.clear()
        self._silences.append(silence)

    def silences(self, connection: Connection, stream: Stream) -> bool:
        """Whether a subscription that comes now stays silent."""
        silent = [s.holds(connection, stream) for s in self._silences if _concerns(s.plan, stream)]
        self._end_silences()
        return any(silent)

    def refuses(self, streams: Iterable[Stream | None]) -> bool:
        """Whether a request for these streams is refused; counts it."""
        hit = [
            (planted, plan)
            for planted, plan in self._refusals
            if any(stream is not None and _concerns(plan, stream) for stream in streams)
        ]
        for planted, plan in hit:
            if planted.count("requests") == plan.count:
                planted.end()
                self._refusals.remove((planted, plan))
        return bool(hit)

    def on_gone(self, connection: Connection) -> None:
        for silence in self._silences:
            silence.held.pop(connection, None)
        self._end_silences()

    def _end_silences(self) -> None:
        for silence in [each for each in self._silences if each.planted.started_at and not each.held]:
            self._silences.remove(silence)
            silence.planted.end()


def _concerns(plan: SubscriptionFault, stream: Stream) -> bool:
    return (stream.symbol, stream.channel) == (plan.symbol, plan.channel)
