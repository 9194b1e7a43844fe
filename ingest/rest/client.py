"""REST client of one feed: it keeps to the limits, waits out rate limits and bans, and retries failures."""

import datetime as dt
from collections.abc import Callable

import aiohttp
import stamina
import structlog

from ingest.rest.breaker import Breaker
from ingest.rest.limits import Limits
from ingest.rest.pool import RestPool
from ingest.rest.statistics import Statistics
from ingest.retry_after import Gate, requested_wait
from schemas.errors import ExchangeError, RejectedError
from schemas.markers import Markers, RateLimited, RestDown, RestUp

log = structlog.get_logger(__name__)

_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=5, sock_read=10)
_ATTEMPTS = 6
_MAX_BODY = 64 << 20  # bytes; the longest listing has about 10 MB


class _Rejection(ExchangeError):
    """Rejection of a request with a time to wait."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the exchange requests a wait of {seconds:g} s")
        self.seconds = seconds


def _backoff(error: Exception) -> bool | dt.timedelta:
    """Retry failures to connect and to answer, and what was too early. No other rejection gets better by repetition."""
    if isinstance(error, _Rejection):
        return dt.timedelta(seconds=error.seconds)
    return isinstance(error, aiohttp.ClientError | TimeoutError)


class Rest:
    """Client for GET requests to one base address. All its callers share budgets, bans and the circuit breaker."""

    def __init__(
        self,
        feed: str,
        base: str,
        limits: Limits,
        pool: RestPool,
        mark: Callable[[Markers], None] = lambda marker: None,
    ) -> None:
        """`mark(marker)` is called when the exchange requests a wait, and when its host is down or up again."""
        self.statistics = Statistics(feed)
        self._feed = feed
        self._base = base.rstrip("/")
        self._mark = mark
        self._session = pool.session
        self._budgets = pool.budgets(limits)
        self._gate = Gate()
        self._breaker = Breaker(self._base, self._on_changed)

    def set_budget(self, weight_per_minute: float) -> None:
        """Set the budget of weight to what the exchange itself states."""
        self._budgets.resize(weight_per_minute)

    async def get(self, path: str, weight: float = 1, **params: str) -> bytes:
        """Return the body of a 200. `weight` counts towards the budget of a minute.

        `RejectedError` if repeating the request would not help, `ExchangeError` if it has failed often or the host is
        down.
        """
        try:
            async for attempt in stamina.retry_context(_backoff, attempts=_ATTEMPTS, timeout=None, wait_max=10.0):
                with attempt:
                    await self._acquire(path, weight, params)
                    with self._breaker.attempt(), self.statistics.measure(path):
                        return await self._get(path, params)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ExchangeError(f"{self._feed}: cannot read {self._base}{path}: {error or 'timeout'}") from error
        raise AssertionError("unreachable")

    async def _acquire(self, path: str, weight: float, params: dict[str, str]) -> None:
        """Wait for the budgets and until the exchange allows requests. After a ban all callers wait for the budgets."""
        while True:
            self._breaker.check()
            await self._gate.wait_until_open()
            await self._budgets.acquire(path, weight, params)
            if not self._gate.closed:
                return

    async def _get(self, path: str, params: dict[str, str]) -> bytes:
        async with self._session.get(self._base + path, params=params, timeout=_TIMEOUT) as response:
            body = await self._body(response)
            self._budgets.on_answer(path, params, response.headers)
            if (seconds := requested_wait(response.status, response.headers, body)) is not None:
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
        log.warning("REST is up again" if up else "REST is down", feed=self._feed, address=self._base, reason=reason)
        self._mark(RestUp(reason=reason) if up else RestDown(reason=reason))
