"""One subscribed channel of one instrument on one connection."""

from collections.abc import Callable

from ingest.exchanges.base import Route

Write = Callable[[int, str, bytes], None]  # receipt time (ns), key, frame

_QUIET = 5_000_000_000  # ns after its acknowledgement from which a stream may just have nothing to say


class Subscription:
    """The state of one subscription. Times: ns since the epoch, 0: not yet; `write` takes its frames.

    `seeded`: its snapshot was asked for since it was acknowledged.
    """

    __slots__ = ("acknowledged_at", "key", "last_message_at", "refusals", "retry_at", "route", "seeded", "write")

    def __init__(self, key: str, route: Route, write: Write) -> None:
        self.key, self.route, self.write = key, route, write
        self.acknowledged_at = 0
        self.last_message_at = 0
        self.refusals = 0
        self.retry_at = 0
        self.seeded = False

    @property
    def refused(self) -> bool:
        """Whether the exchange's last word was a refusal."""
        return self.refusals > 0 and not self.acknowledged_at

    def flows(self, now: int) -> bool:
        """Whether it is acknowledged and receives, or has had the time to."""
        return self.acknowledged_at > 0 and (self.last_message_at > 0 or now - self.acknowledged_at > _QUIET)

    def quiet_for(self, now: int) -> int:
        """ns since its acknowledgement in which nothing has come; 0 once something has."""
        return now - self.acknowledged_at if self.acknowledged_at and not self.last_message_at else 0


def discard(stamp: int, key: str, frame: bytes) -> None:
    """The `write` of a stream that another connection has taken over."""
