"""Send one connection's requests within the exchange's limit: subscriptions first, repairs with what is left."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

from aiolimiter import AsyncLimiter

from ingest.exchanges.base import Request, Route

_RESERVE = 0.25  # of the limit, which repairs leave to subscriptions
_MAX_CHECK_INTERVAL = 1.0  # s at most between two checks whether a repair may be sent


class Outbox:
    """Queue of outgoing requests, emptied by `run`; no caller waits.

    Its size is bounded: a subscription has at most one repair waiting, and is only requested again once rejected.
    """

    def __init__(self, rate: tuple[float, float], send: Callable[[Request], Awaitable[None]]) -> None:
        """`rate`: the exchange's limit, as number of messages and seconds."""
        self._limiter = AsyncLimiter(*rate)
        self._check_interval = min(rate[1] / rate[0], _MAX_CHECK_INTERVAL)
        self._send = send
        self._queue: deque[Request] = deque()
        self._repairs: dict[Route, list[Request]] = {}
        self._filled = asyncio.Event()

    def put(self, requests: Iterable[Request]) -> None:
        """Send these requests, in order, as soon as the limit allows."""
        self._queue.extend(requests)
        self._filled.set()

    def put_repair(self, route: Route, make: Callable[[], list[Request]]) -> None:
        """Send these requests when the limit leaves capacity, unless a repair of the same subscription is waiting."""
        if route not in self._repairs:
            self._repairs[route] = make()
            self._filled.set()

    def forget(self, route: Route) -> None:
        """Drop the waiting repair of a subscription."""
        self._repairs.pop(route, None)

    async def run(self) -> None:
        """Send requests until cancelled."""
        while True:
            request = await self._next()
            await self._limiter.acquire()
            await self._send(request)

    async def _next(self) -> Request:
        while not self._queue:
            self._filled.clear()
            if self._repairs and self._has_capacity_for(next(iter(self._repairs.values()))):
                # Queued together: once unsubscribed, the channel must be subscribed again without delay.
                self._queue.extend(self._repairs.pop(next(iter(self._repairs))))
            elif self._repairs:
                await self._wait(self._check_interval)
            else:
                await self._filled.wait()
        return self._queue.popleft()

    def _has_capacity_for(self, repair: list[Request]) -> bool:
        limit = self._limiter.max_rate
        return self._limiter.has_capacity(min(len(repair) + limit * _RESERVE, limit))

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._filled.wait()
        except TimeoutError:
            pass
