"""Match the exchange's acknowledgements and errors with the requests that are waiting for them."""

from collections.abc import Iterable
from typing import NamedTuple

from ingest.exchanges.base import Request, Route

ACKNOWLEDGEMENT_TIMEOUT = 10.0  # s
GRACE = 1.0  # s after an error about a request: what is still acknowledged within it was not what the error meant


class _Pending(NamedTuple):
    routes: set[Route]
    deadline: float
    reason: str


class PendingRequests:
    """Unanswered requests of one connection. Times are seconds of any monotonic clock."""

    def __init__(self) -> None:
        self._pending: dict[str, _Pending] = {}
        self.requested: set[Route] = set()
        self.acknowledged: set[Route] = set()

    def add(self, request: Request, now: float) -> None:
        """Add a request that is about to be sent."""
        self.requested.update(request.routes)
        self.acknowledged.difference_update(request.routes)
        if request.routes:
            deadline = now + ACKNOWLEDGEMENT_TIMEOUT
            self._pending[request.id] = _Pending(set(request.routes), deadline, "no acknowledgement received")

    def acknowledge(self, request_id: str, routes: Iterable[Route] = ()) -> list[Route]:
        """Return the newly acknowledged routes, sorted. Without `routes`, the whole request is acknowledged."""
        request = self._pending.get(request_id)
        meant = set(routes) or (set(request.routes) if request else set())
        if request is not None:
            request.routes.difference_update(meant)
            if not request.routes:
                del self._pending[request_id]
        new = (meant & self.requested) - self.acknowledged
        self.acknowledged |= new
        return sorted(new)

    def reject(self, request_id: str, reason: str, now: float) -> bool:
        """Reject what a request has not had acknowledged within a grace period. Return whether it was pending."""
        request = self._pending.get(request_id)
        if request is None:
            return False
        self._pending[request_id] = request._replace(deadline=now + GRACE, reason=reason)
        return True

    def pop_rejected(self, now: float) -> list[tuple[Route, str]]:
        """Remove and return what was rejected or has timed out, each with the reason."""
        late = [number for number, request in self._pending.items() if request.deadline <= now]
        ended = [self._pending.pop(number) for number in late]
        return [(route, request.reason) for request in ended for route in sorted(request.routes)]

    def pop_missing(self, subscribed: Iterable[Route]) -> list[Route]:
        """Remove and return what was acknowledged but is missing from the exchange's own list of subscriptions."""
        missing = self.acknowledged - set(subscribed)
        self.acknowledged -= missing
        return sorted(missing)

    def forget(self, route: Route) -> None:
        """Ignore any further answer about a route."""
        self.requested.discard(route)
        self.acknowledged.discard(route)
        for request in self._pending.values():
            request.routes.discard(route)

    @property
    def all_answered(self) -> bool:
        return not self._pending
