"""One channel of one instrument, or of an index that several instruments share, on one connection."""

from collections.abc import Callable

from ingest.exchanges.base import Route

Write = Callable[[int, str, bytes], None]  # receipt time (ns), key, frame

_START_TIMEOUT = 5_000_000_000  # ns after the acknowledgement: without a frame by then, there may just be no data


class Subscription:
    """State of one subscription. `write` takes its frames, once for each of the `keys` of its instruments.

    Times are ns since the epoch, 0 if not yet. `seed_requested`: its snapshot has been requested since it was
    acknowledged. `in_rows`: a frame has rows of several instruments, perhaps of none of ours. `frames`: those received
    since the load was last measured.
    """

    __slots__ = (
        "_members", "acknowledged_at", "frames", "in_rows", "keys", "last_message_at", "rejections", "retry_at",
        "route", "seed_requested", "write",
    )  # fmt: skip

    def __init__(self, route: Route, write: Write, in_rows: bool = False) -> None:
        self.route, self.write, self.in_rows = route, write, in_rows
        self.keys: tuple[str, ...] = ()
        self.frames = 0
        self.acknowledged_at = 0
        self.last_message_at = 0
        self.rejections = 0
        self.retry_at = 0
        self.seed_requested = False
        self._members: dict[str, str] = {}  # keys by the exchange's name

    def add(self, symbol: str, key: str) -> None:
        """Write the frames for one more instrument."""
        self._members[symbol] = key
        self.keys = tuple(self._members.values())

    def remove(self, symbol: str) -> None:
        """Write no more frames for an instrument."""
        self._members.pop(symbol, None)
        self.keys = tuple(self._members.values())

    def key_of(self, symbol: str) -> str | None:
        """Return the key of one of its instruments, given the exchange's name; None if it is none."""
        return self._members.get(symbol)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The exchange's names of its instruments."""
        return tuple(self._members)

    @property
    def rejected(self) -> bool:
        """Whether the exchange's last answer was a rejection."""
        return self.rejections > 0 and not self.acknowledged_at

    def flows(self, now: int) -> bool:
        """Whether the subscription is acknowledged and receiving, or has had 5 s to start."""
        return self.acknowledged_at > 0 and (self.last_message_at > 0 or now - self.acknowledged_at > _START_TIMEOUT)

    def quiet_for(self, now: int) -> int:
        """Return for how many ns an acknowledged subscription has received nothing; 0 once it has received a frame."""
        return now - self.acknowledged_at if self.acknowledged_at and not self.last_message_at else 0


def discard(stamp: int, key: str, frame: bytes) -> None:
    """Drop a frame: the `write` of a subscription that another connection has taken over."""
