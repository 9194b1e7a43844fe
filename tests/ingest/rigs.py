"""Rigs around connections: proxies that can be killed, and hosts that cannot be used."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import anyio
import trustme
from tiny_proxy import HttpProxyHandler, Socks5ProxyHandler

from ingest.uplinks import Uplink, Uplinks
from marketprism.local.broker import free_port

USER, PASSWORD = "prism", "s3cret/p:w"
_WRITTEN = "s3cret%2Fp%3Aw"


def uplinks_to(*addresses: str) -> Uplinks:
    """Return direct uplinks to REST addresses."""
    return Uplinks("a-feed", "rest", [Uplink(address) for address in addresses])


class ProxyRig:
    """Proxy that requires a password: `async with ProxyRig("http")`, or "socks5". `connections`: accepted so far."""

    def __init__(self, scheme: str) -> None:
        self.connections = 0
        self._scheme = scheme
        self._port = free_port()
        self._handler = (HttpProxyHandler if scheme == "http" else Socks5ProxyHandler)(USER, PASSWORD)
        self._serving: asyncio.Task[None] | None = None

    def url(self, password: str = _WRITTEN) -> str:
        """Return its address with a password."""
        return f"{self._scheme}://{USER}:{password}@127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Listen, after `kill` on the same port."""
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=self._port, reuse_port=True)
        self._serving = asyncio.create_task(self._serve(listener))

    async def kill(self) -> None:
        """Close all connections, and accept no more."""
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.wait([self._serving])

    async def _serve(self, listener: anyio.abc.Listener[anyio.abc.SocketStream]) -> None:
        async with listener:
            await listener.serve(self._handle)

    async def _handle(self, stream: anyio.abc.SocketStream) -> None:
        self.connections += 1
        async with stream:
            await self._handler.handle(stream)

    async def __aenter__(self) -> "ProxyRig":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()


@asynccontextmanager
async def refusing() -> AsyncIterator[int]:
    """Yield a port on which nothing listens."""
    yield free_port()


@asynccontextmanager
async def black_hole() -> AsyncIterator[int]:
    """Yield a port on which connections are made and nothing is ever answered."""

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while await reader.read(4096):
                pass
        writer.close()

    async with _listening(never) as port:
        yield port


@asynccontextmanager
async def self_signed() -> AsyncIterator[int]:
    """Yield a port with a certificate that nobody trusts."""

    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with _listening(close, context) as port:
        yield port


@asynccontextmanager
async def _listening(
    handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    context: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
