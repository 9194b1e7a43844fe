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

    @property
    def port(self) -> int:
        """Its port."""
        return self._port

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
async def behind_tls(port: int, ca: trustme.CA) -> AsyncIterator[int]:
    """Yield a port that passes on to another one what comes over TLS, with a certificate of `ca`."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_pass_on(reader, ours), _pass_on(theirs, writer))

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    async with _listening(handle, context) as front:
        yield front


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


class HostRig:
    """Host in front of a server on a local port, which can be blocked: `async with HostRig(port)`.

    `connections`: accepted so far.
    """

    def __init__(self, server_port: int) -> None:
        self.port = free_port()
        self.connections = 0
        self._server_port = server_port
        self._answers = True
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def allow(self) -> None:
        """Pass everything on."""
        self._answers = True
        if self._server is None:
            self._server = await asyncio.start_server(self._handle, "127.0.0.1", self.port)

    async def refuse(self) -> None:
        """Cut all connections, and refuse new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self._cut()

    async def swallow(self) -> None:
        """Cut all connections, accept new ones, and never answer on them."""
        self._answers = False
        self._cut()

    def _cut(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        try:
            if self._answers:
                theirs, ours = await asyncio.open_connection("127.0.0.1", self._server_port)
                self._open.add(ours)
                await asyncio.gather(_pass_on(reader, ours), _pass_on(theirs, writer))
                self._open.discard(ours)
            else:
                await reader.read()
        except OSError:
            writer.transport.abort()
        finally:
            self._open.discard(writer)

    async def __aenter__(self) -> "HostRig":
        await self.allow()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.refuse()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what is read until the end, or until either side is cut."""
    with suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()
