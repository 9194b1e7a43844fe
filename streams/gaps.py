"""The gap of one book: open from what was missed until the book is live again."""

from typing import Any, NamedTuple


class Gap(NamedTuple):
    """An open gap: its id, why, and when it opened (µs)."""

    id: str
    cause: str
    opened_at: int

    def opened(self, expected: int, received: int) -> dict[str, Any]:
        """The fields of the `market.gaps` event that opens it; ids at a sequence gap, else 0."""
        return self._event("opened", expected, received, 0)

    def closed(self, now: int) -> dict[str, Any]:
        """The fields of the event that closes it."""
        return self._event("closed", 0, 0, now - self.opened_at)

    def _event(self, kind: str, expected: int, received: int, duration: int) -> dict[str, Any]:
        return {
            "type": kind,
            "id": self.id,
            "cause": self.cause,
            "expected": expected,
            "received": received,
            "duration": duration,
        }
