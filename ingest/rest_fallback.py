"""Poll the best levels of books that cannot be had by socket, until their sockets deliver them."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import structlog

from ingest.exchanges.base import Connector
from ingest.raw_writer import RawWriter
from ingest.rest import Rest
from ingest.subscription import Subscription
from schemas.errors import ExchangeError, RejectedError
from schemas.instruments import Instrument
from schemas.limits import MAX_FRAME
from schemas.markers import Definition, Markers, RestFallback, RestFallbackEnded, answer_of

log = structlog.get_logger(__name__)

_CHECK_EVERY = 0.25  # s
_PAUSE = 1.0  # s between two requests for one book
_PAUSE_AFTER_ERROR = 30.0  # s after a rejection, which would not get better by repetition
_AT_ONCE = 4  # requests: others need connections too
_NAMED = 5  # instruments that are named in the log


@dataclass(slots=True)
class _Outage:
    """Book that its socket does not deliver. Times are monotonic. `is_polled`: it has lasted long enough.

    `request`: the one that is under way, if any.
    """

    since: float
    reason: str
    is_polled: bool = False
    next_request_at: float = 0.0
    request: asyncio.Task[None] | None = None


class Fallback:
    """Fallback of one feed. It uses at most half of the budget of weight, so that snapshots and polls have theirs."""

    def __init__(
        self,
        connector: Connector,
        instruments: Mapping[str, Instrument],
        subscription_of: Callable[[str], Subscription | None],
        rest: Rest,
        writer: RawWriter,
        after_s: float,
        silent_after_s: float,
    ) -> None:
        """`instruments`: the feed's, by key. `subscription_of(key)`: to its book, None if no socket is open.

        `after_s`: seconds of an outage until it is polled. `silent_after_s`: seconds without a message that are one.
        """
        self._connector = connector
        self._instruments = instruments
        self._subscription_of = subscription_of
        self._rest = rest
        self._writer = writer
        self._after_s = after_s
        self._silent_after = int(silent_after_s * 1e9)
        self._outages: dict[str, _Outage] = {}  # by key
        self._log = log.bind(feed=connector.name, exchange=connector.feed.exchange)

    async def run(self) -> None:
        """Poll until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    self._look()
                    self._request_due(tasks)
                    await asyncio.sleep(_CHECK_EVERY)
        finally:
            self._end([key for key in self._outages if key in self._instruments], "polling has ended")
            self._outages.clear()

    # Outages

    def _look(self) -> None:
        """Compare the outages with the state of the sockets."""
        for key in self._outages.keys() - self._instruments.keys():  # delisted
            self._remove(key)
        now, started, ended = time.monotonic(), list[str](), list[str]()
        for key in self._instruments:
            if reason := self._failure_of(key):
                outage = self._outages.setdefault(key, _Outage(now, reason))
                if not outage.is_polled and now - outage.since >= self._after_s:
                    outage.is_polled, outage.reason = True, reason
                    started.append(key)
            elif key in self._outages:
                ended.append(key)
        self._start(started)
        self._end(ended, "the socket delivers again")

    def _failure_of(self, key: str) -> str:
        """Return why a book is not delivered by socket; empty if it is."""
        subscription = self._subscription_of(key)
        if subscription is None:
            return "no socket is open"
        if not subscription.acknowledged_at:
            return "not subscribed"
        silence = time.time_ns() - max(subscription.last_message_at, subscription.acknowledged_at)
        return f"silent for {silence // 10**9} s" if silence > self._silent_after else ""

    def _start(self, keys: list[str]) -> None:
        for key in keys:
            self._write(key, Definition(self._instruments[key]))  # perhaps no connection has ever written it
            self._write(key, RestFallback(reason=self._outages[key].reason))
        if keys:
            reason = self._outages[keys[0]].reason
            self._log.warning("quotes by REST", instruments=len(keys), keys=keys[:_NAMED], reason=reason)

    def _end(self, keys: list[str], reason: str) -> None:
        ended = [key for key in keys if self._remove(key).is_polled]
        for key in ended:
            self._write(key, RestFallbackEnded(reason=reason))
        if ended:
            self._log.info("quotes by REST are over", instruments=len(ended), keys=ended[:_NAMED], reason=reason)

    def _remove(self, key: str) -> _Outage:
        outage = self._outages.pop(key)
        if outage.request is not None:
            outage.request.cancel()
        return outage

    def _write(self, key: str, marker: Markers) -> None:
        self._writer.write_marker(time.time_ns(), key, marker)

    # Requests

    def _request_due(self, tasks: asyncio.TaskGroup) -> None:
        """Send the requests that are due, the longest overdue first."""
        now, polled = time.monotonic(), [item for item in self._outages.items() if item[1].is_polled]
        idle = [(key, outage) for key, outage in polled if outage.request is None]
        due = sorted((item for item in idle if item[1].next_request_at <= now), key=_next_request_at)
        for key, outage in due[: _AT_ONCE - (len(polled) - len(idle))]:
            params = self._connector.best_levels.query(self._instruments[key].exchange_symbol)
            outage.request = tasks.create_task(self._request(key, outage, params))

    async def _request(self, key: str, outage: _Outage, params: dict[str, str]) -> None:
        """Fetch the best levels of a book, and write them. Cancelled once they are not needed any more."""
        row, pause = self._connector.best_levels, _PAUSE
        try:
            await self._rest.wait_for_room(row.weight)
            asked_at = time.time_ns() // 1000
            body = await self._rest.get(row.path, row.weight, **params)
            if len(body) > MAX_FRAME or self._connector.is_error(body):
                raise RejectedError(f"an answer of {len(body)} bytes: {body[:200].decode(errors='replace')}")
            if key in self._instruments:  # else it was delisted meanwhile
                self._write(key, answer_of("books", f"{row.path}?{urlencode(params)}", asked_at, body))
        except RejectedError as error:
            self._connector.skips.report(f"best levels of {key}", str(error))
            pause = _PAUSE_AFTER_ERROR
        except ExchangeError:  # the client reports it
            pass
        outage.next_request_at, outage.request = time.monotonic() + pause, None


def _next_request_at(item: tuple[str, _Outage]) -> float:
    return item[1].next_request_at
