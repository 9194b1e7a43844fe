"""Make before break: move subscriptions from one connection to its successor, without a missing or misplaced frame."""

from functools import partial

from ingest.exchanges.base import Route
from ingest.subscription import Subscription, Write, discard

TIMEOUT = 30.0  # s in which everything must flow over the new connection
OVERLAP = 1.0  # s for which both deliver after that: the most that one may lag behind the other
_HOLD = 1_000_000_000  # ns: the most that one socket may lag behind the other
_EVENTS = frozenset({"trades", "liquidations"})  # channels whose every frame counts: others repeat a state
_MAX_REJECTIONS = 2  # of a subscription that the old connection has, after which the handover no longer waits for it


class Handover:
    """Handover between two sockets that are both subscribed. Each subscription switches over on its own.

    - Trades, liquidations, and frames that have rows of many instruments, perhaps of none of ours: both sockets' frames
      are written. The workers drop duplicates.
    - Quotes, and books whose snapshot comes in the stream: the new socket's first frame silences the old one.
    - Other books: the new socket's updates are held back until the old one has surely sent everything before them,
      and are then written. The workers drop duplicates by update id.
    """

    def __init__(self, old: dict[Route, Subscription], chained: bool, write: Write) -> None:
        """`chained`: books have no snapshot in the stream."""
        self._old = old
        self._chained = chained
        self._write = write
        self._held: dict[Route, list[tuple[int, str, bytes]]] = {}
        self._waiting: set[Route] = set()
        self.finished = False

    def covers(self, route: Route) -> bool:
        """Return whether a subscription is still to be handed over, or has just been."""
        return not self.finished and route in self._old

    def prepare(self, subscription: Subscription) -> None:
        """Set up a subscription of the new connection, before it is requested."""
        route = subscription.route
        if self.finished or route.channel in _EVENTS or subscription.in_rows or route not in self._old:
            return
        self._waiting.add(route)
        subscription.write = partial(self._hold if self._must_hold(route) else self._switch_over, subscription)

    def advance(self, subscriptions: dict[Route, Subscription], now: int) -> bool:
        """Release what was held long enough. Return whether all that the exchange accepts flows and has switched over.

        `now`: ns since the epoch.
        """
        for route, held in list(self._held.items()):
            if now - held[0][0] >= _HOLD:
                self._release(subscriptions[route])
        flowing = [route for route, subscription in subscriptions.items() if subscription.flows(now)]
        if any(route in self._waiting and subscriptions[route].last_message_at for route in flowing):
            return False
        expected = [route for route in subscriptions if self._old_has(route)]
        missing = [route for route in expected if not subscriptions[route].flows(now)]
        if any(subscriptions[route].rejections < _MAX_REJECTIONS for route in missing):
            return False
        # If most of them are rejected, the new connection itself has a problem: moving to it would gain nothing.
        return bool(flowing) and 2 * len(missing) <= len(expected)

    def forget(self, route: Route) -> None:
        """Drop a subscription whose instrument was removed."""
        self._held.pop(route, None)
        self._waiting.discard(route)

    def _old_has(self, route: Route) -> bool:
        """Whether the old connection has this subscription. One that was rejected there is not waited for here."""
        old = self._old.get(route)
        return old is not None and old.acknowledged_at > 0 and not old.rejections

    def finish(self, subscriptions: dict[Route, Subscription]) -> None:
        """Give everything to the new connection: the old one has closed."""
        self.finished = True
        for route in list(self._waiting):
            self._release(subscriptions[route])

    def abort(self) -> None:
        """Give everything back to the old connection: the new one has failed."""
        self.finished = True
        for subscription in self._old.values():
            subscription.write = self._write

    def _must_hold(self, route: Route) -> bool:
        return route.channel == "books" and self._chained

    def _switch_over(self, subscription: Subscription, stamp: int, key: str, frame: bytes) -> None:
        self._release(subscription)
        self._write(stamp, key, frame)

    def _hold(self, subscription: Subscription, stamp: int, key: str, frame: bytes) -> None:
        self._held.setdefault(subscription.route, []).append((stamp, key, frame))

    def _release(self, subscription: Subscription) -> None:
        self._waiting.discard(subscription.route)
        if old := self._old.get(subscription.route):
            old.write = discard
        subscription.write = self._write
        for stamp, key, frame in self._held.pop(subscription.route, ()):
            self._write(stamp, key, frame)
