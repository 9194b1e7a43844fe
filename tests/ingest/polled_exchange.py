"""A REST server that publishes series period by period, counts requests itself, and has a day's worth of faults."""

import asyncio
import random
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import NamedTuple

import orjson
from aiohttp import web

from ingest.rest import Limit

AHEAD = 3.0  # s by which the exchange's clock is ahead of ours


class Fault(NamedTuple):
    """Fault of all requests from `begin` on, for some seconds; exchange time, s since the epoch.

    `ban`: one request is rejected with `status` and told to wait until the end; a request before that is counted as a
    violation. `error`: HTTP 503. `hang`: no answer. `drop`: the connection is closed. `empty`, `garbage`: no rows, and
    no JSON.
    """

    kind: str
    begin: float
    seconds: float
    status: int = 429

    @property
    def end(self) -> float:
        return self.begin + self.seconds


def published_after(series: str, subject: str, end: float) -> float:
    """Return the s after a period's end at which it is published: mostly at once, sometimes late, always the same."""
    chance = random.Random(f"{series} {subject} {end}")
    return chance.uniform(5, 20) if chance.random() < 0.03 else chance.uniform(0, 1)


class PolledExchange:
    """Exchange whose clock is ahead. `limits`: as it documents them, by path.

    `most`: the most requests that it has counted in a window, as a share of each limit. `violations`: requests during a
    ban. `holding`: requests that hang.
    """

    def __init__(self, limits: dict[str, Limit], faults: Sequence[Fault]) -> None:
        self.limits = limits
        self.faults = sorted(faults, key=lambda fault: fault.begin)
        self.requests = 0
        self.violations: list[str] = []
        self.most: dict[str, float] = defaultdict(float)
        self.holding = 0
        self.seen: dict[str, int] = defaultdict(int)  # faults that took effect, by kind
        self._counted: dict[tuple[str, ...], deque[float]] = defaultdict(deque)
        self._banned: set[Fault] = set()
        self._weights: dict[int, int] = defaultdict(int)  # by minute

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        """Serve, and yield the address."""
        app = web.Application()
        app.router.add_get("/{tail:.*}", self._handle)
        runner = web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        await runner.cleanup()

    def now(self) -> float:
        return time.time() + AHEAD

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        now = self.now()
        self.requests += 1
        self._count(request, now)
        while self.faults and self.faults[0].end <= now:
            self.faults.pop(0)
        fault = self.faults[0] if self.faults and self.faults[0].begin <= now else None
        if fault is not None and (answer := await self._faulty(fault, request, now)) is not None:
            return answer
        minute = int(now // 60)
        self._weights[minute] += 1
        headers = {"Date": formatdate(now, usegmt=True), "X-MBX-USED-WEIGHT-1M": str(self._used(now, minute))}
        return web.Response(body=self._body(request.path, dict(request.query), now), headers=headers)

    def _count(self, request: web.Request, now: float) -> None:
        limit = self.limits.get(request.path)
        if limit is None:
            return
        key = (request.path, *(request.query.get(name, "") for name in limit.apart))
        times = self._counted[key]
        times.append(now)
        while times[0] <= now - limit.seconds:
            times.popleft()
        self.most[request.path] = max(self.most[request.path], len(times) / limit.requests)

    def _used(self, now: float, minute: int) -> int:
        """Return the weight used in this minute: for ten minutes of each hour others use most of the second half."""
        others = 2000 if minute % 60 < 10 and now % 60 > 30 else 20
        return self._weights[minute] + others

    async def _faulty(self, fault: Fault, request: web.Request, now: float) -> web.StreamResponse | None:
        faults: dict[str, Callable[[], Awaitable[web.StreamResponse]]] = {
            "ban": lambda: self._ban(fault, request, now), "error": self._error, "hang": self._hang,
            "drop": lambda: self._drop(request), "empty": lambda: self._answer(b"[]"),
            "garbage": lambda: self._answer(b"<html>\nBad Gateway</html>"),
        }  # fmt: skip
        if fault.kind in ("empty", "garbage") and request.path not in self.limits:
            return None
        self.seen[fault.kind] += 1
        return await faults[fault.kind]()

    async def _ban(self, fault: Fault, request: web.Request, now: float) -> web.Response:
        if fault in self._banned:
            self.violations.append(f"{request.path_qs} at {now}, during a ban from {fault.begin} to {fault.end}")
        self._banned.add(fault)
        headers = {"Retry-After": str(int(fault.end - now) + 1), "Date": formatdate(now, usegmt=True)}
        return web.Response(status=fault.status, headers=headers, body=b'{"code":-1003}')

    async def _error(self) -> web.Response:
        return web.Response(status=503)

    async def _hang(self) -> web.Response:
        self.holding += 1
        try:
            await asyncio.sleep(600)
        finally:
            self.holding -= 1
        return web.Response(status=504)

    async def _drop(self, request: web.Request) -> web.Response:
        if request.transport is not None:
            request.transport.close()
        return web.Response()

    async def _answer(self, body: bytes) -> web.Response:
        return web.Response(body=body)

    def _body(self, path: str, query: dict[str, str], now: float) -> bytes:
        if path.endswith("/time"):
            return orjson.dumps({"serverTime": int(now * 1000)})
        if path == "/current":
            return orjson.dumps({"symbol": query["symbol"], "time": int(now * 1000)})
        period, stamp = {"/ratios": (300, -300), "/volumes": (300, 0), "/funding": (8 * 3600, 0)}[path]
        subject = query.get("symbol") or query["ccy"]
        end = now // period * period
        if now < end + published_after(path, subject, end):
            end -= period
        return orjson.dumps([[int(end + stamp - number * period) * 1000] for number in range(int(query["limit"]))])
