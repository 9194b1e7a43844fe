"""Proxies that misbehave give way to the next uplink, whatever they send."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from ingest.exchanges.binance import BinanceSpot
from ingest.hosts import Hosts
from ingest.rest import Limits, Rest, RestPool
from ingest.timings import DEFAULT_TIMINGS
from schemas.markers import HostChanged, Markers
from schemas.raw import encode_marker
from schemas.settings import load_settings


async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.close()


async def closes_after_the_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(b"\x05\x00")
    await reader.read(100)
    writer.close()


async def answers_binary(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(4096)
    writer.write(b"\x00\xff\x13garbage\r\n\r\n")
    await writer.drain()
    writer.close()


async def answers_much(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(4096)
    writer.write(b"HTTP/1.1 200 " + b"x" * 7000 + b"\xff\r\n\r\n")
    await writer.drain()
    writer.close()


@pytest.fixture
async def host() -> AsyncIterator[str]:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/x", hello)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.mark.parametrize(
    ("scheme", "behaviour"),
    [("socks5", closes), ("socks5h", closes_after_the_request), ("http", answers_binary), ("http", answers_much)],
)
async def test_the_next_uplink(
    host: str, scheme: str, behaviour: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
) -> None:
    """The request is answered without the proxy. The marker of the change can be written, with a short reason."""
    server = await asyncio.start_server(behaviour, "127.0.0.1", 0)
    proxy = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    settings = load_settings(proxies={"*": [proxy, "direct"]}, endpoints={"binance-spot": {"rest": [host]}})
    marked: list[Markers] = []
    hosts = Hosts(BinanceSpot(), settings, DEFAULT_TIMINGS, marked.append)
    async with server, asyncio.timeout(20), RestPool() as pool:
        rest = Rest("binance-spot", hosts.rest, Limits(0, "", {}, {}), pool)
        assert await rest.get("/x") == b"hello"
    changes = [marker for marker in marked if isinstance(marker, HostChanged)]
    assert changes
    assert all(len(encode_marker(1, "binance:BTC-USDT", marker)) < 2000 for marker in changes)
