"""One gap of an instrument's book or trades: open from what was missed until it is healed."""

from typing import Any, NamedTuple


class Gap(NamedTuple):
    """An open gap. `opened_at` and `since`, the receipt of the last frame before it, are µs."""

    id: str
    cause: str
    opened_at: int
    since: int
    channel: str = "books"
    first_missing: str = ""
    last_missing: str = ""

    def opened(self, expected: int = 0, received: int = 0) -> dict[str, Any]:
        """The fields of the `market.gaps` event that opens it; ids at a sequence gap, else 0."""
        return self._event("opened", expected, received, 0)

    def closed(self, now: int) -> dict[str, Any]:
        """The fields of the event that closes it."""
        return self._event("closed", 0, 0, max(now - self.since, 0))

    def _event(self, kind: str, expected: int, received: int, duration: int) -> dict[str, Any]:
        return {
            "type": kind,
            "id": self.id,
            "cause": self.cause,
            "channel": self.channel,
            "since": self.since,
            "first_missing": self.first_missing,
            "last_missing": self.last_missing,
            "expected": expected,
            "received": received,
            "duration": duration,
        }
