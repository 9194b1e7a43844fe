"""The API's application: routes under `/api`, the WebSocket `/stream`, and what guards them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware

from marketprism.api import problems
from marketprism.api.context import Context
from marketprism.api.follow import Follower
from marketprism.api.guard import Guard
from marketprism.api.hub import Hub
from marketprism.api.market import Market
from marketprism.api.openapi import documented_api
from marketprism.api.queries import Queries
from marketprism.api.routes import ROUTERS
from schemas.settings import Settings

_COMPRESSED_FROM = 1000  # bytes
_RUNNING = 4  # queries at a time
_RUNNING_SQL = 2  # users' queries at a time: half of what the embedded engine runs


def create_app(settings: Settings) -> FastAPI:
    """Return the application. While it runs, it follows the topics."""
    market = Market()
    queries, sql = Queries(settings, _RUNNING), Queries(settings, _RUNNING_SQL)
    context = Context(settings, market, Hub(market), queries, sql, Follower(settings, market.apply))

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(context.follower.run()), asyncio.create_task(context.hub.run())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            queries.close()
            sql.close()

    app = FastAPI(
        title="MarketPrism", lifespan=lifespan, openapi_url="/api/openapi.json", docs_url=None, redoc_url=None
    )
    app.state.context = context
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router)
    app.openapi = lambda: documented_api(app)  # type: ignore[method-assign]
    app.add_middleware(GZipMiddleware, minimum_size=_COMPRESSED_FROM)
    app.add_middleware(Guard, settings=settings)
    return app
