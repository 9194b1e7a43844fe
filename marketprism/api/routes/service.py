"""The service itself: whether it is up, and its figures."""

import time
from typing import Any, Literal

import psutil
from fastapi import APIRouter
from pydantic import BaseModel, Field

from marketprism.api.context import Service
from marketprism.api.problems import warming
from marketprism.api.routes.asyncapi import asyncapi

router = APIRouter(prefix="/api", tags=["service"])


class Health(BaseModel):
    """The process answers."""

    status: Literal["up"] = "up"


class Readiness(BaseModel):
    """The process has read what the topics held when it started."""

    status: Literal["ready"] = "ready"
    instruments: int = Field(description="instruments known")
    books: int = Field(description="books known")


class Statistics(BaseModel):
    """Figures of the process since its start."""

    uptime: float = Field(description="seconds")
    events: int = Field(description="events read from the topics")
    channels: int = Field(description="channels that WebSocket clients can subscribe to")
    clients: int = Field(description="WebSocket clients now")
    frames: int = Field(description="WebSocket frames made")
    clients_dropped: int = Field(description="WebSocket clients disconnected as they took nothing")
    memory: int = Field(description="resident memory, bytes")
    cpu: float = Field(description="processor time, seconds")


@router.get("/health", summary="Liveness")
async def health() -> Health:
    """Say that the process is up."""
    return Health()


@router.get("/ready", summary="Readiness")
async def ready(service: Service) -> Readiness:
    """Say whether the topics' past has been read; 503 until then."""
    if not service.follower.is_current:
        raise warming("what the topics hold")
    return Readiness(instruments=len(service.market.instruments), books=len(service.market.books))


@router.get("/asyncapi.json", summary="AsyncAPI document")
async def asyncapi_document() -> dict[str, Any]:
    """Return the AsyncAPI document of the WebSocket `/stream`."""
    return asyncapi()


@router.get("/statistics", summary="Process statistics")
async def statistics(service: Service) -> Statistics:
    """Return figures of this process."""
    process = psutil.Process()
    times = process.cpu_times()
    return Statistics(
        uptime=round(time.time() - service.started_at, 1),
        events=service.market.applied,
        channels=len(service.market.channels.by_name),
        clients=service.hub.clients,
        frames=service.hub.frames,
        clients_dropped=service.hub.dropped,
        memory=process.memory_info().rss,
        cpu=round(times.user + times.system, 2),
    )
