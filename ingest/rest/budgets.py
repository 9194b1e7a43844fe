"""Keep to an exchange's limits: by our own count, and by what the headers of its answers tell."""

import asyncio
from collections.abc import Mapping

from aiolimiter import AsyncLimiter

from ingest.rest.limits import Limit, Limits, Told, read_headers
from ingest.retry_after import Gate, exchange_time

SHARE = 0.5  # of what an exchange allows: it counts by IP address, which others may share
_SPARE = 0.5  # of our share, for requests that are not urgent
_CHECK_EVERY = 0.25  # s between two looks whether there is room for one
_LONGEST_WINDOW = 300.0  # s for which requests are held back at most, whatever a header says
_MAX_APART = 4096  # endpoints and instruments that are counted apart, before those that are idle are forgotten


class Budget:
    """Budget of `count` (requests, or their weight) in any `seconds`, of which only a `share` is used."""

    def __init__(self, count: float, seconds: float, share: float = SHARE) -> None:
        self._share = share
        self._seconds = seconds
        self._count = 0.0
        self._hold = Gate()
        self.resize(count)

    def resize(self, count: float) -> None:
        """Set the count to what the exchange itself states."""
        if count == self._count:
            return
        self._count = count
        # Half of the share for the bucket, half for what refills: never more than the share in any window.
        half = count * self._share / 2
        self._limiter, self._spare = _bucket(half, self._seconds), _bucket(half * _SPARE, self._seconds)

    async def acquire(self, weight: float) -> None:
        """Wait until the weight can be spent."""
        while True:
            await self._hold.wait_until_open()
            await self._limiter.acquire(min(weight, self._limiter.max_rate))
            if not self._hold.closed:
                return

    async def wait_for_room(self, weight: float) -> None:
        """Wait until a request that is not urgent may spend the weight, so that half of the budget is left to others.

        This spends nothing yet.
        """
        await self._spare.acquire(min(weight, self._spare.max_rate))
        while self._hold.closed or not self._limiter.has_capacity(self._limiter.max_rate * (1 - _SPARE)):
            await asyncio.sleep(_CHECK_EVERY)

    @property
    def idle(self) -> bool:
        """Whether it has refilled, so that a new one would be the same."""
        return not self._hold.closed and self._limiter.has_capacity(self._limiter.max_rate)

    def on_told(self, told: Told, now: float) -> None:
        """Hold back until the window ends if the exchange has counted our share already, whoever spent it.

        `now`: the exchange's time, s since the epoch. Without a stated end, a window begins at a multiple of `seconds`.
        """
        allowed = told.limit or self._count
        spent = told.used if told.used is not None else allowed - (told.remaining or 0.0)
        if spent >= allowed * self._share:
            until_next = self._seconds - now % self._seconds
            self._hold.close(min(until_next if told.reset_s is None else told.reset_s, _LONGEST_WINDOW))


def _bucket(count: float, seconds: float) -> AsyncLimiter:
    """Return a bucket that holds the count, but at least one request, and refills the count in any `seconds`."""
    size = max(count, 1.0)
    return AsyncLimiter(size, seconds * size / count)


class Budgets:
    """Budgets of one feed: of the `weight` of all its requests, and of the requests to its endpoints."""

    def __init__(self, limits: Limits, weight: Budget | None, share: float = SHARE) -> None:
        """`weight`: may be shared with other feeds; None if the exchange has no weights. `share`: of its limits."""
        self._share = share
        self._limits = limits
        self._prefixes = sorted(limits.endpoints, key=len, reverse=True)
        self.weight = weight
        self._endpoints: dict[tuple[str, ...], Budget] = {}

    def resize(self, weight_per_minute: float) -> None:
        """Set the budget of weight to what the exchange itself states."""
        if self.weight is not None:
            self.weight.resize(weight_per_minute)

    async def acquire(self, path: str, weight: float, params: Mapping[str, str]) -> None:
        """Wait until this request keeps to all limits."""
        if (endpoint := self._endpoint(path, params)) is not None:
            await endpoint.acquire(1)
        if self.weight is not None:
            await self.weight.acquire(weight)

    async def wait_for_room(self, weight: float) -> None:
        """Wait until a request that is not urgent leaves half of the weight to others."""
        if self.weight is not None:
            await self.weight.wait_for_room(weight)

    def on_answer(self, path: str, params: Mapping[str, str], headers: Mapping[str, str]) -> None:
        """Take what an answer's headers tell: about the weight, or about its endpoint."""
        now = exchange_time(headers)
        told = read_headers(self._limits.headers, headers, now)
        if told.used is not None and self.weight is not None:
            self.weight.on_told(told, now)
        elif told.remaining is not None and (endpoint := self._endpoint(path, params)) is not None:
            endpoint.on_told(told, now)

    def _endpoint(self, path: str, params: Mapping[str, str]) -> Budget | None:
        prefix = next((each for each in self._prefixes if path.startswith(each)), None)
        if prefix is None:
            return None
        limit = self._limits.endpoints[prefix]
        key = (prefix, *(path if name == "path" else params.get(name, "") for name in limit.apart))
        return self._endpoints.get(key) or self._add(key, limit)

    def _add(self, key: tuple[str, ...], limit: Limit) -> Budget:
        if len(self._endpoints) >= _MAX_APART:
            self._endpoints = {key: budget for key, budget in self._endpoints.items() if not budget.idle}
        budget = self._endpoints[key] = Budget(limit.requests, limit.seconds, self._share)
        return budget
