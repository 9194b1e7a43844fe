"""REST client: limits, bans, retries, circuit breaker, statistics, and oversized bodies."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from email.utils import formatdate

import pytest
import stamina
from aiohttp import web
from structlog.testing import capture_logs

from ingest.exchanges import CONNECTORS
from ingest.rest import Limit, Limits, Meaning, Rest, RestPool, breaker
from ingest.rest.budgets import Budget
from ingest.rest.limits import Told
from ingest.timings import DEFAULT_TIMINGS
from ingest.uplinks import Uplink, Uplinks
from schemas.errors import ExchangeError
from schemas.markers import Markers, RateLimited, RestDown, RestUp
from tests.ingest.rigs import uplinks_to

BANNED = b'{"code":-1003,"msg":"Way too many requests; IP banned until %d."}'
LIMITS = CONNECTORS["binance-spot"]().limits
FAST = replace(DEFAULT_TIMINGS, connect_timeout_s=0.3)


class Server:
    """Server that gives these answers, then 200s. `requested`: the time and path of each request."""

    def __init__(self, *answers: web.Response) -> None:
        self.address = ""
        self.answers = list(answers)
        self.requested: list[tuple[float, str]] = []
        self.busy = self.busiest = 0
        self.takes_s = 0.0
        self.lost = 0  # requests at which the connection is closed

    async def answer(self, request: web.Request) -> web.Response:
        self.requested.append((time.time(), request.path_qs))
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        await asyncio.sleep(self.takes_s)
        self.busy -= 1
        if self.lost and request.transport is not None:
            self.lost -= 1
            request.transport.close()
        return self.answers.pop(0) if self.answers else web.Response(body=b"{}")

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.requested]


@asynccontextmanager
async def served(
    *answers: web.Response, limits: Limits = LIMITS, connections: int = 8
) -> AsyncIterator[tuple[Rest, Server, list[Markers]]]:
    """Yield a client of a server, the server, and the markers that the client writes."""
    server, marked = Server(*answers), list[Markers]()
    app = web.Application()
    app.router.add_get("/{tail:.*}", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with RestPool(connections) as pool:
        server.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield Rest("a-feed", uplinks_to(server.address), limits, pool, marked.append), server, marked
    await runner.cleanup()


@pytest.fixture
def no_backoff() -> Iterator[None]:
    """Retry at once."""
    with stamina.set_testing(True, attempts=6, cap=True):
        yield


def limits(weight: float = 0, headers: dict[str, Meaning] | None = None, **endpoints: Limit) -> Limits:
    return Limits(weight, "a-pool", {f"/{name}": limit for name, limit in endpoints.items()}, headers or {})


async def test_no_request_during_a_ban() -> None:
    """Every caller waits for the end of the ban, although only the body states it."""
    end = time.time() + 2
    async with served(web.Response(status=418, body=BANNED % int(end * 1000))) as (rest, server, marked):
        first = asyncio.create_task(rest.get("/a"))
        await asyncio.sleep(0.3)
        await asyncio.gather(first, rest.get("/b"), rest.get("/c"))
    assert len(server.times) == 4
    assert min(server.times[1:]) >= end
    assert max(server.times) < end + 5
    [marker] = marked
    assert isinstance(marker, RateLimited)
    assert (marker.status, marker.where) == (418, "rest")


async def test_huge_body() -> None:
    """A body that is far too large is rejected, not kept."""
    async with served(web.Response(body=bytes(65 << 20))) as (rest, _, _):
        with pytest.raises(ExchangeError, match="bytes"):
            await rest.get("/a")


async def test_connections_per_host() -> None:
    """No more requests are under way at a time than the setting allows."""
    async with served(connections=2) as (rest, server, _):
        server.takes_s = 0.05
        await asyncio.gather(*(rest.get("/a") for _ in range(6)))
    assert (server.busiest, len(server.requested)) == (2, 6)


@pytest.mark.usefixtures("no_backoff")
async def test_failures_are_retried() -> None:
    """Server errors are retried. Other rejections are not: repeating them does not help."""
    answers = [web.Response(status=502), web.Response(status=500), web.Response(body=b"[]"), web.Response(status=404)]
    async with served(*answers) as (rest, server, marked):
        assert await rest.get("/a") == b"[]"
        with pytest.raises(ExchangeError, match="404"):
            await rest.get("/a")
        assert len(server.requested) == 4
        assert not marked
        [(path, figures)] = rest.statistics.figures().items()
    assert (path, figures.calls, figures.failures) == ("/a", 4, 3)
    assert 0 < figures.latency_median_ms <= figures.latency_max_ms


@pytest.mark.usefixtures("no_backoff")
async def test_each_request_is_counted() -> None:
    """If a kept connection is lost, the request is repeated as one that counts, not by the HTTP library."""
    async with served() as (rest, server, _):
        await rest.get("/a")
        server.lost = 1
        await rest.get("/a")
        assert rest.statistics.figures()["/a"].calls == len(server.requested) == 3


# Limits


def most_in(seconds: float, times: list[float]) -> int:
    """Return the most times in any window of the given length."""
    return max(sum(begin <= at < begin + seconds for at in times) for begin in times)


async def test_half_of_an_endpoint_limit() -> None:
    """Of a documented limit half is used, at most, in any window; endpoints that are counted apart do not wait."""
    async with served(limits=limits(poll=Limit(20, 0.4, ("path",)))) as (rest, server, _):
        await asyncio.gather(*(rest.get(f"/poll/{name}") for name in ("a", "b") for _ in range(20)))
        for name in ("a", "b"):
            times = [at for at, path in server.requested if path == f"/poll/{name}"]
            assert len(times) == 20
            assert most_in(0.38, times) <= 10
            assert max(times) - min(times) < 1.5
        await asyncio.wait_for(asyncio.gather(*(rest.get("/other") for _ in range(50))), 1)


async def test_limit_per_instrument() -> None:
    """A limit that the exchange counts per instrument is kept for each of them."""
    async with served(limits=limits(poll=Limit(4, 10, ("instId",)))) as (rest, server, _):
        await asyncio.wait_for(asyncio.gather(*(rest.get("/poll", instId=name) for name in ("A", "B", "C"))), 1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(rest.get("/poll", instId="A"), 0.5)
    assert len(server.requested) == 3


async def test_longest_prefix() -> None:
    """The row with the longest prefix counts."""
    rows = limits(a=Limit(2, 100), ab=Limit(1000, 1))
    async with served(limits=rows) as (rest, _, _):
        await asyncio.wait_for(asyncio.gather(*(rest.get("/ab") for _ in range(20))), 1)


async def test_used_weight() -> None:
    """If all processes of this address have used our share of a minute, requests wait for the next one."""
    date = formatdate(1_790_000_000 // 60 * 60 + 59, usegmt=True)  # a second before the exchange's minute ends
    headers = {"X-MBX-USED-WEIGHT-1M": "3000", "Date": date}
    async with served(web.Response(body=b"{}", headers=headers)) as (rest, server, _):
        await rest.get("/a")
        await asyncio.gather(rest.get("/b"), rest.get("/c"))
    first, *others = server.times
    assert min(others) - first >= 0.95
    assert max(others) - first < 3


async def test_little_used_weight() -> None:
    """A count below our share holds nothing back, nor does one that cannot be read."""
    answers = [web.Response(body=b"{}", headers={"X-MBX-USED-WEIGHT-1M": text}) for text in ("2999", "-1", "x", "nan")]
    async with served(*answers) as (rest, _, _):
        for _ in range(5):
            await asyncio.wait_for(rest.get("/a"), 1)


@pytest.mark.parametrize(
    ("feed", "path", "headers"),
    [
        ("htx-linear", "/linear-swap-api/v1/swap_open_interest",
         {"ratelimit-limit": "240", "ratelimit-interval": "3000", "ratelimit-remaining": "120",
          "ratelimit-reset": "1000"}),
        ("htx-spot", "/market/detail/merged",
         {"X-HB-RateLimit-Requests-Remain": "2250", "X-HB-RateLimit-Requests-Expire": "{soon}"}),
    ],
)  # fmt: skip
async def test_remaining_requests(feed: str, path: str, headers: dict[str, str]) -> None:
    """If others have left no more than half, requests to that endpoint wait for the next window; no others do."""
    soon = {name: text.format(soon=int((time.time() + 1) * 1000)) for name, text in headers.items()}
    answer = web.Response(body=b"{}", headers=soon)
    async with served(answer, limits=CONNECTORS[feed]().limits) as (rest, server, _):
        await rest.get(path)
        await asyncio.wait_for(rest.get("/linear-swap-ex/market/bbo"), 0.5)
        await rest.get(path)
    assert 0.9 < server.times[2] - server.times[0] < 3


async def test_shared_weight() -> None:
    """USD-M and COIN-M have one budget of weight, as the exchange counts them together."""
    usdm, coinm, spot = (CONNECTORS[f"binance-{name}"]().limits for name in ("usdm", "coinm", "spot"))
    async with RestPool() as pool:
        weights = [pool.budgets(each).weight for each in (usdm, coinm, spot)]
        assert weights[0] is weights[1] is not weights[2]
        assert pool.budgets(CONNECTORS["okx"]().limits).weight is None


# Circuit breaker


@pytest.mark.usefixtures("no_backoff")
async def test_breaker(monkeypatch: pytest.MonkeyPatch) -> None:
    """After five failures the host is left alone. One probe is sent after a pause, and callers fail fast meanwhile."""
    monkeypatch.setattr(breaker, "_FIRST_PAUSE", 0.3)
    async with served(*(web.Response(status=503) for _ in range(6))) as (rest, server, marked):
        with pytest.raises(ExchangeError, match="down"):
            await rest.get("/a")
        assert len(server.requested) == 5
        with pytest.raises(ExchangeError, match="down"):
            await asyncio.wait_for(rest.get("/b"), 0.2)
        await asyncio.sleep(0.35)
        found = await asyncio.gather(*(rest.get("/c") for _ in range(5)), return_exceptions=True)
        assert all(isinstance(error, ExchangeError) for error in found)
        assert len(server.requested) == 6
        await asyncio.sleep(0.4)  # the pause has doubled
        with pytest.raises(ExchangeError, match="down"):
            await rest.get("/d")
        assert len(server.requested) == 6
        await asyncio.sleep(0.3)
        assert await rest.get("/e") == b"{}"
        await asyncio.gather(*(rest.get("/f") for _ in range(5)))
    down, up = marked
    assert isinstance(down, RestDown)
    assert "503" in down.reason
    assert isinstance(up, RestUp)


@pytest.mark.usefixtures("no_backoff")
async def test_rejections_do_not_open_the_breaker() -> None:
    """A host that rejects requests is not down."""
    async with served(*(web.Response(status=400) for _ in range(20))) as (rest, server, marked):
        for _ in range(20):
            with pytest.raises(ExchangeError, match="400"):
                await rest.get("/a")
    assert (len(server.requested), marked) == (20, [])


async def test_cancelled_requests_do_not_open_the_breaker() -> None:
    """Requests that we give up ourselves say nothing about the host."""
    async with served() as (rest, server, marked):
        server.takes_s = 5
        for _ in range(6):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(rest.get("/a"), 0.05)
        server.takes_s = 0
        assert await rest.get("/a") == b"{}"
    assert not marked


@pytest.mark.usefixtures("no_backoff")
async def test_breaker_survives_a_clock_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host is not left alone for an hour because our clock was set back by one."""
    monkeypatch.setattr(breaker, "_FIRST_PAUSE", 0.3)
    async with served(*(web.Response(status=503) for _ in range(5))) as (rest, _, marked):
        with pytest.raises(ExchangeError, match="down"):
            await rest.get("/a")
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() - 3600)
        with pytest.raises(ExchangeError, match="down"):
            await rest.get("/a")
        await asyncio.sleep(0.35)
        assert await rest.get("/a") == b"{}"
    assert isinstance(marked[-1], RestUp)


# Several hosts


@asynccontextmanager
async def served_by_two(*answers: web.Response) -> AsyncIterator[tuple[Rest, Server, Server, list[Markers]]]:
    """Yield a client of two servers, of which the first gives these answers."""
    async with served(*answers) as (_, first, _), served() as (_, second, marked), RestPool() as pool:
        uplinks = Uplinks("a-feed", "rest", [Uplink(first.address), Uplink(second.address)], FAST)
        yield Rest("a-feed", uplinks, LIMITS, pool, marked.append), first, second, marked


@pytest.mark.parametrize("status", [403, 451])
async def test_a_host_that_blocks_us(status: int) -> None:
    """The next host is asked at once, and nobody waits for the first."""
    async with served_by_two(web.Response(status=status)) as (rest, first, second, marked):
        async with asyncio.timeout(1):
            assert await rest.get("/a") == b"{}"
            await rest.get("/b")
    assert (len(first.requested), len(second.requested), marked) == (1, 2, [])


@pytest.mark.usefixtures("no_backoff")
async def test_a_host_that_fails() -> None:
    """After five failures in a row the next host is asked: the broken one does not stop anybody."""
    async with served_by_two(*(web.Response(status=503) for _ in range(9))) as (rest, first, second, marked):
        assert await rest.get("/a") == b"{}"
        await rest.get("/b")
    assert (len(first.requested), len(second.requested), marked) == (5, 2, [])


async def test_a_host_that_does_not_answer() -> None:
    """The next host is asked once the first has not answered in time."""
    async with served_by_two() as (rest, first, second, _):
        first.takes_s = 5
        async with asyncio.timeout(2):
            assert await rest.get("/a") == b"{}"
            await rest.get("/b")
        assert (len(first.requested), len(second.requested)) == (1, 2)
        first.takes_s = 0


@pytest.mark.usefixtures("no_backoff")
async def test_all_hosts_are_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only then is REST reported as down, and both are tried in turn until one is up."""
    monkeypatch.setattr(breaker, "_FIRST_PAUSE", 0.1)
    async with served_by_two(*(web.Response(status=451) for _ in range(9))) as (rest, first, second, marked):
        second.answers = [web.Response(status=503) for _ in range(5)]
        with pytest.raises(ExchangeError, match="down"):
            await rest.get("/a")
        assert [type(marker) for marker in marked] == [RestDown]
        first.answers.clear()
        await asyncio.sleep(0.2)
        assert await rest.get("/b") == b"{}"
        assert [type(marker) for marker in marked] == [RestDown, RestUp]
        assert first.requested[-1][1] == "/b"


# Statistics


async def test_statistics_are_reported_once() -> None:
    """Each endpoint with calls is reported, and its figures start over."""
    async with served() as (rest, _, _):
        await asyncio.gather(rest.get("/a"), rest.get("/a"), rest.get("/b"))
        assert {path: figures.calls for path, figures in rest.statistics.figures().items()} == {"/a": 2, "/b": 1}
        with capture_logs() as logged:
            rest.statistics.report()
        assert [(row["event"], row["feed"], row["path"], row["calls"], row["failures"]) for row in logged] == [
            ("requests", "a-feed", "/a", 2, 0),
            ("requests", "a-feed", "/b", 1, 0),
        ]
        assert rest.statistics.figures() == {}


async def test_a_process_uses_its_share() -> None:
    """With a share of a quarter, requests are held back once a quarter of a window is used up, whoever used it."""
    for share, used, is_held in ((0.5, 499, False), (0.5, 500, True), (0.25, 249, False), (0.25, 250, True)):
        budget = Budget(1000, 60, share)
        budget.on_told(Told(used, None, None, 5.0), time.time())
        assert budget.idle != is_held
    async with RestPool(share=0.25) as pool:
        weight = pool.budgets(LIMITS).weight
        assert weight is not None
        weight.on_told(Told(LIMITS.weight_per_minute / 4, None, None, 5.0), time.time())
        assert not weight.idle
