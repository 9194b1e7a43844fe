"""Make before break: the streams of one connection move to its successor, and nothing is missed or broken."""

from functools import partial

from ingest.exchanges.base import Route
from ingest.stream import Stream, Write, discard

_HELD = 1_000_000_000  # ns: the most that one socket may be behind the other


class Handover:
    """Both sockets are subscribed; each stream changes over when the new one's frames can stand for the old one's.

    - trades: both are written; what comes twice is dropped by its id, in the streams.
    - quotes, and books that begin with a snapshot in the stream: the new one's first frame silences the old one.
    - books whose snapshot comes otherwise: the new one's updates are held back until the old one has surely sent
      what went before them, and then follow; what comes twice is dropped by its ids.
    """

    def __init__(self, old: dict[Route, Stream], chained: bool, write: Write) -> None:
        """`chained`: books have no snapshot in the stream."""
        self._old = old
        self._chained = chained
        self._write = write
        self._held: dict[Route, list[tuple[int, bytes]]] = {}
        self._waiting: set[Route] = set()
        self.over = False

    def prepare(self, stream: Stream) -> None:
        """Before a stream of the new connection is asked for."""
        if self.over or stream.route.channel == "trades" or stream.route not in self._old:
            return
        self._waiting.add(stream.route)
        stream.write = partial(self._hold if self._held_back(stream) else self._change, stream)

    def complete(self, streams: dict[Route, Stream], now: int) -> bool:
        """Let go what was held long enough; whether every stream flows and has changed over."""
        for route, held in list(self._held.items()):
            if now - held[0][0] >= _HELD:
                self._release(streams[route])
        return all(
            stream.flows(now) and (route not in self._waiting or not stream.heard_at)
            for route, stream in streams.items()
        )

    def finish(self, streams: dict[Route, Stream]) -> None:
        """The old connection is gone: everything is the new one's."""
        self.over = True
        for route in list(self._waiting):
            self._release(streams[route])

    def undo(self) -> None:
        """The new connection is given up: everything is the old one's again."""
        for stream in self._old.values():
            stream.write = self._write

    def _held_back(self, stream: Stream) -> bool:
        return stream.route.channel == "books" and self._chained

    def _change(self, stream: Stream, stamp: int, key: str, frame: bytes) -> None:
        self._release(stream)
        self._write(stamp, key, frame)

    def _hold(self, stream: Stream, stamp: int, key: str, frame: bytes) -> None:
        self._held.setdefault(stream.route, []).append((stamp, frame))

    def _release(self, stream: Stream) -> None:
        self._waiting.discard(stream.route)
        self._old[stream.route].write = discard
        stream.write = self._write
        for stamp, frame in self._held.pop(stream.route, ()):
            self._write(stamp, stream.key, frame)
