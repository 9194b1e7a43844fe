"""Choose how a feed's exchange is reached: by which of its hosts, and through which proxy."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal, NamedTuple

import structlog

from ingest.timings import DEFAULT_TIMINGS, Timings
from ingest.uplink_failures import Failure, failure_of
from schemas.passwords import masked
from schemas.proxies import DIRECT, Proxy, proxy_for
from schemas.settings import Endpoint, Settings

log = structlog.get_logger(__name__)

_CHECK_EVERY = 0.25  # s between two looks for what is to be probed
_MUTE = 2  # sockets in a row over which nothing has come, until the next uplink is used
_WAIT_IF_MUTE = 600.0  # s until such an uplink is tried again: its handshakes succeed, so a probe shows nothing

Where = Literal["ws", "rest"]


class Uplink(NamedTuple):
    """Address of a host, and the proxy through which it is reached; without one, directly."""

    host: str
    proxy: Proxy | None = None

    def __str__(self) -> str:
        return masked(self.host) + (f" through {self.proxy}" if self.proxy else "")

    def failure_of(self, error: BaseException) -> Failure:
        """Return why nothing could be reached over it."""
        return failure_of(error, self.proxy is not None)


@dataclass
class _State:
    """What is known of an uplink. Times are monotonic, durations in s. `mute`: sockets in a row without a frame."""

    failure: Failure | None = None
    probe_at: float = -inf
    pause: float = 0.0  # of the last failure
    tried_at: float = -inf
    works_since: float = -inf
    mute: int = 0


class Uplinks:
    """Uplinks of one feed, best first, for its sockets or for REST. All who connect share what is known of them.

    `on_changed(uplink, reason)` is called when another one is to be used than before, and with the first one, if there
    are several.
    """

    def __init__(
        self,
        feed: str,
        where: Where,
        uplinks: Sequence[Uplink],
        timings: Timings = DEFAULT_TIMINGS,
        on_changed: Callable[[Uplink, str], None] = lambda uplink, reason: None,
    ) -> None:
        self._in_use: Uplink | None = None
        self.connect_timeout_s = timings.connect_timeout_s
        self._timings = timings
        self._on_changed = on_changed
        self._states = {uplink: _State() for uplink in uplinks}
        self._feed = feed
        self._where = where
        self._log = log.bind(feed=feed, where=where)

    def __len__(self) -> int:
        return len(self._states)

    def alone(self, uplink: Uplink) -> "Uplinks":
        """Return only this one of them, of which nothing is known."""
        return Uplinks(self._feed, self._where, [uplink], self._timings)

    @property
    def works(self) -> bool:
        """Whether any of them is not known to fail."""
        return any(state.failure is None for state in self._states.values())

    def choose(self) -> Uplink:
        """Return the best one that is not known to fail. If all fail, they are returned in turn."""
        working = (uplink for uplink, state in self._states.items() if state.failure is None)
        return next(working, None) or min(self._states, key=lambda uplink: self._states[uplink].tried_at)

    def patience_s(self, uplink: Uplink) -> float:
        """Return for how many seconds an answer may take: not as long if nothing has ever come over this uplink.

        A host that accepts connections and is silent is then given up for another one in the time of a connection.
        """
        is_known = self._states[uplink].works_since > -inf
        return 2 * self.connect_timeout_s if is_known or len(self) == 1 else self.connect_timeout_s

    def has_better(self, uplink: Uplink) -> bool:
        """Whether one works that is preferred to this one."""
        return self.works and self.choose() in self._better_than(uplink)

    def _better_than(self, uplink: Uplink) -> list[Uplink]:
        return list(self._states)[: list(self._states).index(uplink)]

    def on_failed(self, uplink: Uplink, failure: Failure) -> bool:
        """Note that nothing can be reached over an uplink. Return whether another is to be tried at once."""
        if failure.timed_out and self._others_timed_out(uplink):
            failure = failure._replace(of_proxy=True)  # it accepts connections, and that is all
        now = time.monotonic()
        for each, state in self._states.items():
            if each == uplink or (failure.of_proxy and each.proxy == uplink.proxy):
                self._note(state, failure, now)
        self._update()
        return self.works

    def on_connected(self, uplink: Uplink) -> None:
        """Note that an uplink works, and so does its proxy."""
        if uplink == self._in_use and self._states[uplink].failure is None:
            return
        for each, state in self._states.items():
            failure = state.failure
            if each == uplink or (failure and failure.of_proxy and each.proxy == uplink.proxy):
                state.failure, state.works_since = None, time.monotonic()
        self._update()

    def on_mute(self, uplink: Uplink) -> bool:
        """Note that a socket has ended over which nothing came. Return whether another uplink is to be tried at once.

        One may be chance. Several in a row, while no other socket receives anything over this uplink, are its failure.
        """
        state = self._states[uplink]
        state.mute += 1
        if len(self) == 1 or state.mute < _MUTE:
            return False
        return self.on_failed(uplink, Failure("connects, and sends nothing", wait=_WAIT_IF_MUTE))

    def on_received(self, uplink: Uplink) -> None:
        """Note that a socket receives data over an uplink."""
        self._states[uplink].mute = 0

    async def run(self, probe: Callable[[Uplink], Awaitable[object]]) -> None:
        """Probe those that are better than the one in use, with back-off, until cancelled.

        `probe` returns if an uplink works, and raises whatever it likes if not.
        """
        while True:
            for uplink in self._due():
                try:
                    await probe(uplink)
                except Exception as error:  # noqa: BLE001 - whatever it is, the uplink cannot be used
                    self.on_failed(uplink, uplink.failure_of(error))
                else:
                    self.on_connected(uplink)
            await asyncio.sleep(_CHECK_EVERY)

    def _due(self) -> list[Uplink]:
        if not self.works:  # whoever connects tries them all
            return []
        now = time.monotonic()
        return [uplink for uplink in self._better_than(self.choose()) if self._states[uplink].probe_at <= now]

    def _others_timed_out(self, uplink: Uplink) -> bool:
        """Whether connections to another host have timed out through the same proxy."""
        return uplink.proxy is not None and any(
            state.failure is not None and state.failure.timed_out
            for each, state in self._states.items()
            if each != uplink and each.proxy == uplink.proxy
        )

    def _note(self, state: _State, failure: Failure, now: float) -> None:
        """Note a failure. The pause until a probe doubles, once per pause, and after a recovery that did not last."""
        first, longest = self._timings.probe_pause_s, self._timings.max_probe_pause_s
        if state.failure is not None:  # a wait that the exchange has requested holds for all probes
            failure = failure._replace(wait=max(failure.wait, state.failure.wait))
        if state.failure is None or now >= state.probe_at:
            is_new = state.failure is None and now - state.works_since > longest
            state.pause = first if is_new else min(2 * state.pause or first, longest)
            state.probe_at = now + max(state.pause, failure.wait)
        state.failure, state.tried_at = failure, now

    def _update(self) -> None:
        """Report it if another uplink is to be used."""
        if not self.works or (uplink := self.choose()) == self._in_use:
            return
        self._in_use = uplink
        if len(self) == 1:
            return
        failures = [(each, state.failure) for each, state in self._states.items() if state.failure]
        reasons = [f"{each}: {failure.text}" for each, failure in failures if each in self._better_than(uplink)]
        reason = "; ".join(reasons) or "first choice"
        report = self._log.warning if reasons else self._log.info
        report("host changed", host=masked(uplink.host), proxy=str(uplink.proxy or DIRECT), reason=reason)
        self._on_changed(uplink, reason)


def uplinks_of(settings: Settings, feed: str, where: Where, hosts: Sequence[str]) -> list[Uplink]:
    """Return the uplinks of a feed, best first. `hosts`: the exchange's, for when the settings name none.

    Raise `SettingsError` for an unusable proxy.
    """
    endpoint = settings.endpoints.get(feed, Endpoint())
    return through_proxies(settings, feed, (endpoint.ws if where == "ws" else endpoint.rest) or hosts)


def through_proxies(settings: Settings, feed: str, hosts: Iterable[str]) -> list[Uplink]:
    """Return the uplinks to some hosts through a feed's proxies: through the first one each host, then the next one."""
    addresses = [host.rstrip("/") for host in hosts]
    if listed := settings.proxies_of(feed):
        proxies = [None if text == DIRECT else Proxy.parse(text) for text in listed]
        return [Uplink(address, proxy) for proxy in proxies for address in addresses]
    return [Uplink(address, proxy_for(address)) for address in addresses]
