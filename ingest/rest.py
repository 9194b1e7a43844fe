"""REST of one feed: its weight budget, its bans obeyed, retries of what may be retried."""

import datetime as dt
from collections.abc import Callable

import aiohttp
import stamina
import structlog
from aiolimiter import AsyncLimiter

from ingest.retry_after import Gate, wait_of
from schemas.errors import ExchangeError

log = structlog.get_logger(__name__)

_TIMEOUT = aiohttp.ClientTimeout(total=20)
_SHARE = 0.5  # of the exchange's budget: others behind the same address have theirs
_MOST = 64 << 20  # bytes of a body; the longest listing has some 10 MB


class _Busy(ExchangeError):
    """The exchange told us to wait."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the exchange asks to wait {seconds:g} s")
        self.seconds = seconds


def _backoff(error: Exception) -> bool | dt.timedelta:
    if isinstance(error, _Busy):
        return dt.timedelta(seconds=error.seconds)
    return isinstance(error, aiohttp.ClientError | TimeoutError)


class Rest:
    """GETs against one base address. `weight` counts against the budget of a minute."""

    def __init__(
        self,
        feed: str,
        base: str,
        weight_per_minute: float,
        session: aiohttp.ClientSession,
        on_rate_limit: Callable[[int, float], None] = lambda status, seconds: None,
    ) -> None:
        """`on_rate_limit(status, seconds)` is told when the exchange makes us wait."""
        self._feed = feed
        self._on_rate_limit = on_rate_limit
        self._base = base.rstrip("/")
        self._session = session
        self._gate = Gate()
        self._budget = 0.0
        self.allow(weight_per_minute)

    def allow(self, weight_per_minute: float) -> None:
        """The exchange's budget, as it says itself."""
        if weight_per_minute != self._budget:
            self._budget = weight_per_minute
            # Half for the bucket, half for what refills: never more than the share in any minute.
            self._limiter = AsyncLimiter(max(weight_per_minute * _SHARE / 2, 1), 60)

    async def get(self, path: str, weight: float = 1, **params: str) -> bytes:
        """The body of a 200. `ExchangeError` for what is refused, or fails again and again."""
        try:
            async for attempt in stamina.retry_context(_backoff, attempts=6, timeout=None, wait_max=10.0):
                with attempt:
                    return await self._get(path, weight, params)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ExchangeError(f"{self._feed}: {self._base}{path} cannot be read: {error or 'timeout'}") from error
        raise AssertionError("unreachable")

    async def _get(self, path: str, weight: float, params: dict[str, str]) -> bytes:
        await self._turn(weight)
        async with self._session.get(self._base + path, params=params, timeout=_TIMEOUT) as response:
            body = await self._body(response)
            if (seconds := wait_of(response.status, response.headers, body)) is not None:
                raise self._wait(response.status, seconds)
            if response.status >= 500:
                response.raise_for_status()
            if response.status != 200:
                text = body[:200].decode(errors="replace")
                raise ExchangeError(f"{self._feed}: {path} {params} answered {response.status}: {text}")
            return body

    async def _turn(self, weight: float) -> None:
        """Wait for the budget and for what the exchange asked for. After a ban all callers go through the budget."""
        while True:
            await self._gate.passed()
            await self._limiter.acquire(min(weight, self._limiter.max_rate))
            if not self._gate.closed:
                return

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        """The body, decompressed: `ExchangeError` where it is beyond all that an exchange answers."""
        parts, size = [], 0
        async for part in response.content.iter_any():
            parts.append(part)
            size += len(part)
            if size > _MOST:
                raise ExchangeError(f"{self._feed}: {response.url.path} answered more than {_MOST} bytes")
        return b"".join(parts)

    def _wait(self, status: int, seconds: float) -> _Busy:
        self._gate.close(seconds)
        log.warning("rate limit: waiting", feed=self._feed, status=status, seconds=round(seconds, 1))
        self._on_rate_limit(status, seconds)
        return _Busy(seconds)
