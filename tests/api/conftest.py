"""An API server in this process, on a port of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

import httpx
import pytest
import uvicorn

from marketprism.api.context import Context
from marketprism.api.market import Market
from marketprism.api.server import config_of
from marketprism.dashboard.app import create_app
from marketprism.local.broker import free_port
from schemas.settings import Settings, load_settings


class Served(NamedTuple):
    """A running server: its client, its state, and its address (host:port)."""

    client: httpx.AsyncClient
    context: Context
    address: str

    @property
    def market(self) -> Market:
        return self.context.market

    async def get(self, path: str, **parameters: Any) -> Any:
        """Return the body of a request that succeeds."""
        response = await self.client.get(path, params=parameters)
        assert response.status_code == 200, response.text
        return response.json()


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Served]:
    """Serve the API and the page."""
    app = create_app(settings)
    server = uvicorn.Server(config_of(app))
    host, _, port = settings.api_address.rpartition(":")
    server.config.host, server.config.port = host, int(port)
    task = asyncio.create_task(server.serve())
    try:
        while not server.started:
            assert not task.done()
            await asyncio.sleep(0.01)
        async with httpx.AsyncClient(base_url=f"http://{settings.api_address}") as client:
            yield Served(client, app.state.context, settings.api_address)
    finally:
        server.should_exit = True
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """Serve without a broker: tests apply events to the market themselves, which counts as read to the end."""
    settings = load_settings(kafka="127.0.0.1:9", api_address=f"127.0.0.1:{free_port()}", api_requests_per_s=0)
    async with serving(settings) as running:
        running.context.follower.is_current = True
        yield running
