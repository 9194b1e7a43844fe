"""What was asked of an exchange, compared with what it acknowledged."""

from collections.abc import Iterable
from typing import NamedTuple

from ingest.exchanges.base import Request, Route

PATIENCE = 10.0  # s for an acknowledgement
GRACE = 1.0  # s after an error: what of the same request is acknowledged by then, was not what it meant


class _Open(NamedTuple):
    routes: set[Route]
    deadline: float
    reason: str


class PendingRequests:
    """Requests of one connection. Times are seconds of any monotonic clock."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}
        self.asked: set[Route] = set()
        self.acknowledged: set[Route] = set()

    def ask(self, request: Request, now: float) -> None:
        self.asked.update(request.routes)
        self.acknowledged.difference_update(request.routes)
        if request.routes:
            self._open[request.id] = _Open(set(request.routes), now + PATIENCE, "no acknowledgement came")

    def acknowledge(self, request_id: str, routes: Iterable[Route] = ()) -> list[Route]:
        """What this acknowledges anew, sorted; without `routes` the whole request."""
        request = self._open.get(request_id)
        meant = set(routes) or (set(request.routes) if request else set())
        if request is not None:
            request.routes.difference_update(meant)
            if not request.routes:
                del self._open[request_id]
        new = (meant & self.asked) - self.acknowledged
        self.acknowledged |= new
        return sorted(new)

    def refuse(self, request_id: str, reason: str, now: float) -> bool:
        """An error about a request: what it does not acknowledge soon is refused. False: no such request is open."""
        request = self._open.get(request_id)
        if request is None:
            return False
        self._open[request_id] = request._replace(deadline=now + GRACE, reason=reason)
        return True

    def overdue(self, now: float) -> list[tuple[Route, str]]:
        """What is refused by now, each with the reason; told once."""
        late = [number for number, request in self._open.items() if request.deadline <= now]
        ended = [self._open.pop(number) for number in late]
        return [(route, request.reason) for request in ended for route in sorted(request.routes)]

    def missing(self, listing: Iterable[Route]) -> list[Route]:
        """What was acknowledged but does not stand in the exchange's own list; it counts as refused from now."""
        absent = self.acknowledged - set(listing)
        self.acknowledged -= absent
        return sorted(absent)

    def forget(self, route: Route) -> None:
        """Nobody wants it any more, whatever is answered about it."""
        self.asked.discard(route)
        self.acknowledged.discard(route)
        for request in self._open.values():
            request.routes.discard(route)

    @property
    def settled(self) -> bool:
        """Whether no request waits for its answer."""
        return not self._open
