"""What the routes work with."""

import time
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from marketprism.api.follow import Follower
from marketprism.api.hub import Hub
from marketprism.api.market import Market
from marketprism.api.queries import Queries
from schemas.settings import Settings


@dataclass
class Context:
    """State of the service. `queries`: of our own; `sql`: of users, which may be long and must not hold up those."""

    settings: Settings
    market: Market
    hub: Hub
    queries: Queries
    sql: Queries
    follower: Follower
    started_at: float = field(default_factory=time.time)


async def _context(connection: HTTPConnection) -> Context:  # a plain function would run in a thread
    context: Context = connection.app.state.context
    return context


Service = Annotated[Context, Depends(_context)]
