"""Make before break: the streams of one connection move to its successor, and nothing is missed or broken."""

from functools import partial

from ingest.exchanges.base import Route
from ingest.subscription import Subscription, Write, discard

_HELD = 1_000_000_000  # ns: the most that one socket may be behind the other
_FOR_GOOD = 2  # refusals of what the old connection has, after which the move does not wait for it any more


class Handover:
    """Both sockets are subscribed; each stream changes over when the new one's frames can stand for the old one's.

    - trades: both are written; what comes twice is dropped by its id, in the streams.
    - quotes, and books that begin with a snapshot in the stream: the new one's first frame silences the old one.
    - books whose snapshot comes otherwise: the new one's updates are held back until the old one has surely sent
      what went before them, and then follow; what comes twice is dropped by its ids.
    """

    def __init__(self, old: dict[Route, Subscription], chained: bool, write: Write) -> None:
        """`chained`: books have no snapshot in the stream."""
        self._old = old
        self._chained = chained
        self._write = write
        self._held: dict[Route, list[tuple[int, bytes]]] = {}
        self._waiting: set[Route] = set()
        self.over = False

    def prepare(self, stream: Subscription) -> None:
        """Before a stream of the new connection is asked for."""
        if self.over or stream.route.channel == "trades" or stream.route not in self._old:
            return
        self._waiting.add(stream.route)
        stream.write = partial(self._hold if self._held_back(stream) else self._change, stream)

    def complete(self, streams: dict[Route, Subscription], now: int) -> bool:
        """Let go what was held long enough; whether everything that the exchange takes flows and has changed over."""
        for route, held in list(self._held.items()):
            if now - held[0][0] >= _HELD:
                self._release(streams[route])
        flowing = [route for route, stream in streams.items() if stream.flows(now)]
        if any(route in self._waiting and streams[route].last_message_at for route in flowing):
            return False
        had = [route for route in streams if self._had(route)]
        missing = [route for route in had if not streams[route].flows(now)]
        if any(streams[route].refusals < _FOR_GOOD for route in missing):
            return False
        # Where most of it is refused, the trouble is another, and nothing is gained by moving.
        return bool(flowing) and 2 * len(missing) <= len(had)

    def forget(self, route: Route) -> None:
        """Its instrument is gone."""
        self._held.pop(route, None)
        self._waiting.discard(route)

    def _had(self, route: Route) -> bool:
        """Whether the old connection has this stream: what was refused there is not waited for here."""
        old = self._old.get(route)
        return old is not None and old.acknowledged_at > 0 and not old.refusals

    def finish(self, streams: dict[Route, Subscription]) -> None:
        """The old connection is gone: everything is the new one's."""
        self.over = True
        for route in list(self._waiting):
            self._release(streams[route])

    def undo(self) -> None:
        """The new connection is given up: everything is the old one's again."""
        for stream in self._old.values():
            stream.write = self._write

    def _held_back(self, stream: Subscription) -> bool:
        return stream.route.channel == "books" and self._chained

    def _change(self, stream: Subscription, stamp: int, key: str, frame: bytes) -> None:
        self._release(stream)
        self._write(stamp, key, frame)

    def _hold(self, stream: Subscription, stamp: int, key: str, frame: bytes) -> None:
        self._held.setdefault(stream.route, []).append((stamp, frame))

    def _release(self, stream: Subscription) -> None:
        self._waiting.discard(stream.route)
        if old := self._old.get(stream.route):
            old.write = discard
        stream.write = self._write
        for stamp, frame in self._held.pop(stream.route, ()):
            self._write(stamp, stream.key, frame)
