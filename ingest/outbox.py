"""What one connection has to say to the exchange, within its limit: subscriptions first, repairs with what is left."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

from aiolimiter import AsyncLimiter

from ingest.exchanges.base import Request, Route

_RESERVE = 0.25  # of the limit, that repairs leave to subscriptions
_LOOK = 1.0  # s at most between two looks whether there is room for a repair


class Outbox:
    """Nobody waits for it. Bounded: one repair per stream, and subscriptions are only repeated once refused."""

    def __init__(self, rate: tuple[float, float], send: Callable[[Request], Awaitable[None]]) -> None:
        """`rate`: messages and seconds."""
        self._limiter = AsyncLimiter(*rate)
        self._look = min(rate[1] / rate[0], _LOOK)
        self._send = send
        self._first: deque[Request] = deque()
        self._repairs: dict[Route, list[Request]] = {}
        self._filled = asyncio.Event()

    def put(self, requests: Iterable[Request]) -> None:
        self._first.extend(requests)
        self._filled.set()

    def repair(self, route: Route, make: Callable[[], list[Request]]) -> None:
        """Send these when there is room, unless a repair of the same stream waits already."""
        if route not in self._repairs:
            self._repairs[route] = make()
            self._filled.set()

    def forget(self, route: Route) -> None:
        self._repairs.pop(route, None)

    async def run(self) -> None:
        """Send what comes. Never returns by itself."""
        while True:
            request = await self._next()
            await self._limiter.acquire()
            await self._send(request)

    async def _next(self) -> Request:
        while not self._first:
            self._filled.clear()
            if self._repairs and self._room_for(next(iter(self._repairs.values()))):
                # Together: a stream that was unsubscribed must not wait for its subscription.
                self._first.extend(self._repairs.pop(next(iter(self._repairs))))
            elif self._repairs:
                await self._wait(self._look)
            else:
                await self._filled.wait()
        return self._first.popleft()

    def _room_for(self, repair: list[Request]) -> bool:
        most = self._limiter.max_rate
        return self._limiter.has_capacity(min(len(repair) + most * _RESERVE, most))

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._filled.wait()
        except TimeoutError:
            pass
