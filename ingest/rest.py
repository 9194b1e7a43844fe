"""REST client of one feed: it keeps to the weight budget, waits out rate limits and bans, and retries failures."""

import datetime as dt
from collections.abc import Callable

import aiohttp
import stamina
import structlog
from aiolimiter import AsyncLimiter

from ingest.retry_after import Gate, requested_wait
from schemas.errors import ExchangeError

log = structlog.get_logger(__name__)

_TIMEOUT = aiohttp.ClientTimeout(total=20)
_SHARE = 0.5  # of the exchange's budget: it is per IP address, which others may share
_MAX_BODY = 64 << 20  # bytes; the longest listing has about 10 MB


class _RateLimited(ExchangeError):
    """Rejection of a request with a time to wait."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the exchange requests a wait of {seconds:g} s")
        self.seconds = seconds


def _backoff(error: Exception) -> bool | dt.timedelta:
    if isinstance(error, _RateLimited):
        return dt.timedelta(seconds=error.seconds)
    return isinstance(error, aiohttp.ClientError | TimeoutError)


class Rest:
    """Client for GET requests to one base address. A request's `weight` counts towards the budget of a minute."""

    def __init__(
        self,
        feed: str,
        base: str,
        weight_per_minute: float,
        session: aiohttp.ClientSession,
        on_rate_limit: Callable[[int, float], None] = lambda status, seconds: None,
    ) -> None:
        """`on_rate_limit(status, seconds)` is called when the exchange requests a wait."""
        self._feed = feed
        self._on_rate_limit = on_rate_limit
        self._base = base.rstrip("/")
        self._session = session
        self._gate = Gate()
        self._budget = 0.0
        self.set_budget(weight_per_minute)

    def set_budget(self, weight_per_minute: float) -> None:
        """Set the budget to what the exchange itself states."""
        if weight_per_minute != self._budget:
            self._budget = weight_per_minute
            # Half for the bucket, half for what refills: never more than the share in any minute.
            self._limiter = AsyncLimiter(max(weight_per_minute * _SHARE / 2, 1), 60)

    async def get(self, path: str, weight: float = 1, **params: str) -> bytes:
        """Return the body of a 200. `ExchangeError` if the request is rejected, or has failed six times."""
        try:
            async for attempt in stamina.retry_context(_backoff, attempts=6, timeout=None, wait_max=10.0):
                with attempt:
                    return await self._get(path, weight, params)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ExchangeError(f"{self._feed}: cannot read {self._base}{path}: {error or 'timeout'}") from error
        raise AssertionError("unreachable")

    async def _get(self, path: str, weight: float, params: dict[str, str]) -> bytes:
        await self._acquire(weight)
        async with self._session.get(self._base + path, params=params, timeout=_TIMEOUT) as response:
            body = await self._body(response)
            if (seconds := requested_wait(response.status, response.headers, body)) is not None:
                raise self._rate_limited(response.status, seconds)
            if response.status >= 500:
                response.raise_for_status()
            if response.status != 200:
                text = body[:200].decode(errors="replace")
                raise ExchangeError(f"{self._feed}: {path} {params} returned {response.status}: {text}")
            return body

    async def _acquire(self, weight: float) -> None:
        """Wait for the budget and until the exchange allows requests. After a ban all callers wait for the budget."""
        while True:
            await self._gate.wait_until_open()
            await self._limiter.acquire(min(weight, self._limiter.max_rate))
            if not self._gate.closed:
                return

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        """Return the body, decompressed. `ExchangeError` if it is larger than any answer that an exchange gives."""
        parts, size = [], 0
        async for part in response.content.iter_any():
            parts.append(part)
            size += len(part)
            if size > _MAX_BODY:
                raise ExchangeError(f"{self._feed}: {response.url.path} returned more than {_MAX_BODY} bytes")
        return b"".join(parts)

    def _rate_limited(self, status: int, seconds: float) -> _RateLimited:
        self._gate.close(seconds)
        log.warning("rate limit: waiting", feed=self._feed, status=status, seconds=round(seconds, 1))
        self._on_rate_limit(status, seconds)
        return _RateLimited(seconds)
