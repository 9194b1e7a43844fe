"""Supervision of connections: the wait before the next attempt."""

import asyncio
import time
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from schemas.settings import Endpoint, Settings, load_settings
from tests.ingest.reading import ingesting


async def test_a_rejected_handshake(here: Settings) -> None:
    """After a rejected handshake, the next attempt waits as long as the exchange requests."""
    attempts: list[float] = []

    def reject(connection: ServerConnection, request: Request) -> Response:
        attempts.append(time.monotonic())
        response = connection.respond(HTTPStatus.TOO_MANY_REQUESTS, "slow down")
        response.headers["Retry-After"] = "4"
        return response

    async with serve(lambda connection: connection.wait_closed(), "127.0.0.1", 0, process_request=reject) as server:
        port = server.sockets[0].getsockname()[1]
        rest = here.endpoints["binance-spot"].rest
        endpoints = {"binance-spot": Endpoint(ws=(f"ws://127.0.0.1:{port}",), rest=rest)}
        rejecting = load_settings(**here.model_dump() | {"endpoints": endpoints})
        async with ingesting(rejecting, "binance-spot"):
            await asyncio.sleep(6)
    assert len(attempts) == 2
    assert attempts[1] - attempts[0] >= 4
