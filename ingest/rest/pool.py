"""What all REST clients of a process share: connections, and the budgets that several feeds have in common."""

import ssl
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp_socks import ProxyConnector, ProxyType

from ingest.rest.budgets import SHARE, Budget, Budgets
from ingest.rest.limits import Limits
from schemas.proxies import Proxy

_MINUTE = 60.0


async def _send_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from repeating a request by itself when the connection is lost: no budget would count it."""
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientConnectionError(str(error)) from error


class RestPool:
    """Pool of connections and budgets: `async with RestPool(…)`."""

    def __init__(self, connections: int = 8, share: float = SHARE) -> None:
        """`connections`: most connections per host that are open at a time. `share`: of the exchanges' limits."""
        self._connections = connections
        self._share = share
        self._weights: dict[str, Budget] = {}
        self._sessions: dict[Proxy | None, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for session in self._sessions.values():
            await session.close()

    def session(self, proxy: Proxy | None = None) -> aiohttp.ClientSession:
        """Return the session of a proxy, or without one of direct connections."""
        if proxy not in self._sessions:
            connector = _connector(proxy, self._connections)
            # The environment's proxies are known (`ingest/uplinks.py`): aiohttp must not use them by itself.
            self._sessions[proxy] = aiohttp.ClientSession(connector=connector, middlewares=(_send_once,))
        return self._sessions[proxy]

    def budgets(self, limits: Limits) -> Budgets:
        """Return the budgets of a feed. Those of weight are the same object for all feeds of a pool."""
        if not limits.weight_per_minute:
            return Budgets(limits, None, self._share)
        weight = self._weights.get(limits.pool)
        if weight is None:
            weight = self._weights[limits.pool] = Budget(limits.weight_per_minute, _MINUTE, self._share)
        return Budgets(limits, weight, self._share)


def _connector(proxy: Proxy | None, per_host: int) -> aiohttp.TCPConnector:
    if proxy is None:
        return aiohttp.TCPConnector(limit=0, limit_per_host=per_host)
    return ProxyConnector(
        proxy.host,
        proxy.port,
        ProxyType.SOCKS5 if proxy.scheme.startswith("socks") else ProxyType.HTTP,
        proxy.user or None,
        proxy.password or None,
        rdns=proxy.scheme == "socks5h",
        proxy_ssl=ssl.create_default_context() if proxy.scheme == "https" else None,
        limit=0,
        limit_per_host=per_host,
    )
