"""REST client of one feed: it keeps to the limits, waits out rate limits and bans, and retries failures."""

import datetime as dt
from collections import Counter
from collections.abc import Callable

import aiohttp
import stamina
import structlog

from ingest.rest.breaker import Breaker
from ingest.rest.limits import Limits
from ingest.rest.pool import RestPool
from ingest.rest.statistics import Statistics
from ingest.retry_after import Gate, requested_wait
from ingest.uplink_failures import REST_ERRORS, Failure, cannot_connect, is_blocked
from ingest.uplinks import Uplink, Uplinks
from schemas.errors import ExchangeError, RejectedError
from schemas.logs import error_text
from schemas.markers import Markers, RateLimited, RestDown, RestUp

log = structlog.get_logger(__name__)

_TOTAL_TIMEOUT = 30.0  # s of one request
_ATTEMPTS = 6
_ERRORS = 5  # requests in a row that a host accepts without answering them, until the next host is asked
_MAX_BODY = 64 << 20  # bytes; the longest listing has about 10 MB


class _Rejection(ExchangeError):
    """Rejection of a request with a time to wait."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the exchange requests a wait of {seconds:g} s")
        self.seconds = seconds


class _BlockedError(ExchangeError):
    """A host does not serve our network; another one may."""


def _backoff(error: Exception) -> bool | dt.timedelta:
    """Retry failures to connect and to answer, and what was too early. No other rejection gets better by repetition."""
    if isinstance(error, _Rejection):
        return dt.timedelta(seconds=error.seconds)
    return isinstance(error, REST_ERRORS)


class Rest:
    """Client for GET requests to one exchange. All its callers share budgets, bans and the circuit breaker."""

    def __init__(
        self,
        feed: str,
        uplinks: Uplinks,
        limits: Limits,
        pool: RestPool,
        mark: Callable[[Markers], None] = lambda marker: None,
        attempts: int = _ATTEMPTS,
    ) -> None:
        """`mark(marker)` is called when the exchange requests a wait, and when all hosts are down or one is up again.

        `attempts`: of one request, if it is not answered.
        """
        self.statistics = Statistics(feed)
        self._feed = feed
        self._uplinks = uplinks
        self._limits = limits
        self._pool = pool
        self._mark = mark
        self._attempts = attempts
        self._budgets = pool.budgets(limits)
        self._gate = Gate()
        self._breaker = Breaker(f"REST of {feed}", self._on_changed)
        self._errors = Counter[Uplink]()  # in a row

    def probe(self, uplink: Uplink) -> "Rest":
        """Return a client that asks only over this uplink, and only once. It shares the budgets."""
        probe = Rest(self._feed, self._uplinks.alone(uplink), self._limits, self._pool, attempts=1)
        probe._budgets = self._budgets
        return probe

    def set_budget(self, weight_per_minute: float) -> None:
        """Set the budget of weight to what the exchange itself states."""
        self._budgets.resize(weight_per_minute)

    async def wait_for_room(self, weight: float) -> None:
        """Wait until a request that is not urgent leaves half of the budget of weight to others."""
        await self._budgets.wait_for_room(weight)

    async def get(self, path: str, weight: float = 1, **params: str) -> bytes:
        """Return the body of a 200. `weight` counts towards the budget of a minute.

        `RejectedError` if repeating the request would not help, `ExchangeError` if it has failed often or the host is
        down.
        """
        try:
            async for attempt in stamina.retry_context(_backoff, attempts=self._attempts, timeout=None, wait_max=10.0):
                with attempt:
                    await self._acquire(path, weight, params)
                    with self._breaker.attempt():
                        return await self._ask(path, weight, params)
        except REST_ERRORS as error:
            raise ExchangeError(f"{self._feed}: cannot read {path}: {error_text(error)}") from error
        raise AssertionError("unreachable")

    async def _acquire(self, path: str, weight: float, params: dict[str, str]) -> None:
        """Wait for the budgets and until the exchange allows requests. After a ban all callers wait for the budgets."""
        while True:
            self._breaker.check()
            await self._gate.wait_until_open()
            await self._budgets.acquire(path, weight, params)
            if not self._gate.closed:
                return

    async def _ask(self, path: str, weight: float, params: dict[str, str]) -> bytes:
        """Ask the host in use; if it cannot be reached, the next one at once."""
        for left in reversed(range(len(self._uplinks))):
            uplink = self._uplinks.choose()
            try:
                with self.statistics.measure(path):
                    body = await self._get(uplink, path, params)
            except (*REST_ERRORS, _BlockedError) as error:
                if not (self._has_alternative(uplink, error) and left):
                    raise
                await self._budgets.acquire(path, weight, params)
            except ExchangeError:
                self._on_answered(uplink)
                raise
            else:
                self._on_answered(uplink)
                return body
        raise AssertionError("unreachable")

    def _on_answered(self, uplink: Uplink) -> None:
        self._errors.pop(uplink, None)
        self._uplinks.on_connected(uplink)

    def _has_alternative(self, uplink: Uplink, error: Exception) -> bool:
        """Note an error, and return whether another uplink is to be tried at once."""
        if isinstance(error, _BlockedError):
            return True
        self._errors[uplink] += 1
        if not cannot_connect(error) and self._errors[uplink] < _ERRORS:
            return False
        del self._errors[uplink]
        return self._uplinks.on_failed(uplink, uplink.failure_of(error))

    async def _get(self, uplink: Uplink, path: str, params: dict[str, str]) -> bytes:
        session, connects_within = self._pool.session(uplink.proxy), self._uplinks.connect_timeout_s
        timeout = aiohttp.ClientTimeout(
            _TOTAL_TIMEOUT, sock_connect=connects_within, sock_read=self._uplinks.patience_s(uplink)
        )
        async with session.get(uplink.host + path, params=params, timeout=timeout) as response:
            body = await self._body(response)
            self._budgets.on_answer(path, params, response.headers)
            seconds = requested_wait(response.status, response.headers, body)
            if is_blocked(response.status):
                failure = Failure(f"HTTP {response.status}", wait=seconds or 0.0)
                if self._uplinks.on_failed(uplink, failure):
                    raise _BlockedError(f"{self._feed}: {uplink} returned {response.status}")
            if seconds is not None:
                raise self._rejected(response.status, seconds)
            if response.status >= 500:
                response.raise_for_status()
            if response.status != 200:
                text = body[:200].decode(errors="replace")
                raise RejectedError(f"{self._feed}: {path} {params} returned {response.status}: {text}")
            return body

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        """Return the body, decompressed. `RejectedError` if it is larger than any answer that an exchange gives."""
        parts, size = [], 0
        async for part in response.content.iter_any():
            parts.append(part)
            size += len(part)
            if size > _MAX_BODY:
                raise RejectedError(f"{self._feed}: {response.url.path} returned more than {_MAX_BODY} bytes")
        return b"".join(parts)

    def _rejected(self, status: int, seconds: float) -> _Rejection:
        self._gate.close(seconds)
        log.warning("rate limit: waiting", feed=self._feed, status=status, seconds=round(seconds, 1))
        self._mark(RateLimited(status=status, seconds=seconds, where="rest"))
        return _Rejection(seconds)

    def _on_changed(self, up: bool, reason: str) -> None:
        log.warning("REST is up again" if up else "REST is down", feed=self._feed, reason=reason)
        self._mark(RestUp(reason=reason) if up else RestDown(reason=reason))
