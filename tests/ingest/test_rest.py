"""REST client: bans and oversized bodies."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from ingest.rest import Rest
from schemas.errors import ExchangeError

BANNED = b'{"code":-1003,"msg":"Way too many requests; IP banned until %d."}'


@asynccontextmanager
async def served(*answers: web.Response) -> AsyncIterator[tuple[Rest, list[float]]]:
    """Yield a client of a server that gives these answers, then 200s; and the times of its requests."""
    requested_at: list[float] = []

    async def answer(request: web.Request) -> web.Response:
        requested_at.append(time.time())
        return answers[len(requested_at) - 1] if len(requested_at) <= len(answers) else web.Response(body=b"{}")

    app = web.Application()
    app.router.add_get("/{tail:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as session:
        yield Rest("binance-spot", f"http://127.0.0.1:{runner.addresses[0][1]}", 6000, session), requested_at
    await runner.cleanup()


async def test_no_request_during_a_ban() -> None:
    """Every caller waits for the end of the ban, although only the body states it."""
    end = time.time() + 2
    rejection = web.Response(status=418, body=BANNED % int(end * 1000))
    async with served(rejection) as (rest, requested_at):
        first = asyncio.create_task(rest.get("/a"))
        await asyncio.sleep(0.3)
        await asyncio.gather(first, rest.get("/b"), rest.get("/c"))
    assert len(requested_at) == 4
    assert min(requested_at[1:]) >= end
    assert max(requested_at) < end + 5


async def test_huge_body() -> None:
    """A body that is far too large is rejected, not kept."""
    async with served(web.Response(body=bytes(65 << 20))) as (rest, _):
        with pytest.raises(ExchangeError, match="bytes"):
            await rest.get("/a")
