"""Watchdog for silent subscriptions: resubscribe, then reconnect, then back off."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ingest.exchanges.base import Route
from ingest.subscription import Subscription

_MAX_WAIT = 3600.0  # s between two attempts


class Recovery(NamedTuple):
    """Next step for a subscription that has been silent for `age` ns."""

    age: int
    step: Literal["resubscribe", "reconnect"]


@dataclass(slots=True)
class _Silence:
    since: int
    tried_at: int
    attempts: int = 1


class Watchdog:
    """Watchdog of one supervisor's subscriptions. It outlives the connections.

    So the back-off continues over reconnects, and a channel that just has no data does not cause them indefinitely.
    """

    def __init__(self, limits: Mapping[str, float]) -> None:
        """`limits`: seconds by channel."""
        self._limits = limits
        self._silences: dict[Route, _Silence] = {}

    def check(self, subscription: Subscription, now: int) -> Recovery | None:
        """Return the step that is due now, if any. `now`: ns since the epoch."""
        limit = self._limits[subscription.route.channel]
        silence = self._silences.get(subscription.route)
        if silence is None:
            since = max(subscription.last_message_at, subscription.acknowledged_at)
            if not subscription.acknowledged_at or now - since < limit * 1e9:
                return None
            self._silences[subscription.route] = _Silence(since, now)
            return Recovery(now - since, "resubscribe")
        # The first two steps are one limit apart; then the wait doubles each time.
        wait = min(limit * 2 ** (silence.attempts - 1), _MAX_WAIT)
        if now - max(silence.tried_at, subscription.acknowledged_at) < wait * 1e9:
            return None
        silence.attempts += 1
        silence.tried_at = now
        return Recovery(now - silence.since, "resubscribe" if silence.attempts % 2 else "reconnect")

    def resumed_after(self, subscription: Subscription) -> int:
        """Return, once, for how many ns a subscription was silent that is receiving again; else 0."""
        silence = self._silences.get(subscription.route)
        if silence is None or subscription.last_message_at <= silence.since:
            return 0
        del self._silences[subscription.route]
        return subscription.last_message_at - silence.since

    def shift_times(self, step: int) -> None:
        """Shift all times by `step` ns, by which our clock was set, so that ages stay the same."""
        for silence in self._silences.values():
            silence.since += step
            silence.tried_at += step

    def forget(self, route: Route) -> None:
        """Drop the state of a subscription that was removed."""
        self._silences.pop(route, None)
