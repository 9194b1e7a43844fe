"""The WebSocket."""

from fastapi import APIRouter
from starlette.websockets import WebSocket

router = APIRouter()


@router.websocket("/stream")
async def stream(socket: WebSocket) -> None:
    """Send the channels that the client subscribes to: a snapshot of each, then its changes."""
    await socket.app.state.context.hub.serve(socket)
