"""What all REST clients of a process share: connections, and the budgets that several feeds have in common."""

from types import TracebackType
from typing import Self

import aiohttp

from ingest.rest.budgets import SHARE, Budget, Budgets
from ingest.rest.limits import Limits

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

    async def __aenter__(self) -> Self:
        # The proxy of the environment is used, as by the WebSocket connections.
        connector = aiohttp.TCPConnector(limit=0, limit_per_host=self._connections)
        self.session = aiohttp.ClientSession(connector=connector, trust_env=True, middlewares=(_send_once,))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.session.close()

    def budgets(self, limits: Limits) -> Budgets:
        """Return the budgets of a feed. Those of weight are the same object for all feeds of a pool."""
        if not limits.weight_per_minute:
            return Budgets(limits, None, self._share)
        weight = self._weights.get(limits.pool)
        if weight is None:
            weight = self._weights[limits.pool] = Budget(limits.weight_per_minute, _MINUTE, self._share)
        return Budgets(limits, weight, self._share)
