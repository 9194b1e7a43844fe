"""The age of each stream's data, and what is due for a silent one: subscribe anew, then reconnect, then less often."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ingest.exchanges.base import Route
from ingest.subscription import Subscription

_LONGEST = 3600.0  # s between two attempts


class Silent(NamedTuple):
    """A stream has been silent for `age` ns; `step` is what to do about it now."""

    age: int
    step: Literal["resubscribe", "reconnect"]


@dataclass(slots=True)
class _Silence:
    since: int
    tried_at: int
    attempts: int = 1


class Watchdog:
    """Of one carrier, over all its connections, so that a stream that is just quiet is not mended for ever."""

    def __init__(self, limits: Mapping[str, float]) -> None:
        """`limits`: seconds by channel."""
        self._limits = limits
        self._silences: dict[Route, _Silence] = {}

    def look(self, stream: Subscription, now: int) -> Silent | None:
        """What is due for a stream. Times: ns since the epoch."""
        limit = self._limits[stream.route.channel]
        silence = self._silences.get(stream.route)
        if silence is None:
            since = max(stream.last_message_at, stream.acknowledged_at)
            if not stream.acknowledged_at or now - since < limit * 1e9:
                return None
            self._silences[stream.route] = _Silence(since, now)
            return Silent(now - since, "resubscribe")
        # One limit each for the first two steps, then twice as long each time.
        wait = min(limit * 2 ** (silence.attempts - 1), _LONGEST)
        if now - max(silence.tried_at, stream.acknowledged_at) < wait * 1e9:
            return None
        silence.attempts += 1
        silence.tried_at = now
        return Silent(now - silence.since, "resubscribe" if silence.attempts % 2 else "reconnect")

    def resumed(self, stream: Subscription) -> int:
        """How long a stream that was told silent had been, in ns, once it is heard again; else 0."""
        silence = self._silences.get(stream.route)
        if silence is None or stream.last_message_at <= silence.since:
            return 0
        del self._silences[stream.route]
        return stream.last_message_at - silence.since

    def shift(self, step: int) -> None:
        """Our clock was set, by so many ns: ages stay what they are."""
        for silence in self._silences.values():
            silence.since += step
            silence.tried_at += step

    def forget(self, route: Route) -> None:
        self._silences.pop(route, None)
