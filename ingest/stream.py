"""One subscribed channel of one instrument on one connection."""

from collections.abc import Callable

from ingest.exchanges.base import Route

Write = Callable[[int, str, bytes], None]  # receipt time (ns), key, frame

_QUIET = 5_000_000_000  # ns after its acknowledgement from which a stream may just have nothing to say


class Stream:
    """What is known of it on this connection. Times: ns since the epoch, 0: not yet; `write` takes its frames."""

    __slots__ = ("acknowledged_at", "heard_at", "key", "refusals", "retry_at", "route", "write")

    def __init__(self, key: str, route: Route, write: Write) -> None:
        self.key, self.route, self.write = key, route, write
        self.acknowledged_at = 0
        self.heard_at = 0
        self.refusals = 0
        self.retry_at = 0

    def flows(self, now: int) -> bool:
        """Whether it is taken and sends, or was given the time to."""
        return self.acknowledged_at > 0 and (self.heard_at > 0 or now - self.acknowledged_at > _QUIET)


def discard(stamp: int, key: str, frame: bytes) -> None:
    """The `write` of a stream that another connection has taken over."""
