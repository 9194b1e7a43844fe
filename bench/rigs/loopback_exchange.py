"""A minimal Binance spot and OKX for ingest: definitions, time and depth over REST, and acknowledgements.

Frames are sent as prepared bytes, several per write, so that the sender does not limit the measurement.
"""

import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import orjson
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response

from marketprism.simulator.exchanges.binance.frames import spot_row
from marketprism.simulator.exchanges.okx.definitions import instrument_row
from marketprism.simulator.market.listings import listings_of

BINANCE, OKX, CONTROL = "/stream", "/ws/v5/public", "/control"  # paths; `CONTROL` is the benchmark's own
SUBSCRIBE = {BINANCE: '{"method":"SUBSCRIBE","params":[],"id":1}', OKX: '{"op":"subscribe","id":"1","args":[]}'}

_BINANCE_SYMBOLS = [spot_row(listing) for listing in listings_of("binance-spot")]
_OKX_INSTRUMENTS = [instrument_row(listing) for listing in listings_of("okx")]

Depth = Callable[[str], dict[str, Any]]  # returns the body of a symbol's REST snapshot
OnControl = Callable[[ServerConnection, str], Awaitable[None]]


def on_the_wire(frame: bytes) -> bytes:
    """Return the bytes of a text frame as a server sends it."""
    return Frame(Opcode.TEXT, frame).serialize(mask=False)


def endpoints(port: int) -> dict[str, dict[str, str]]:
    """Return ingest's setting `endpoints` for an exchange on this port."""
    here = {"ws": f"ws://127.0.0.1:{port}", "rest": f"http://127.0.0.1:{port}"}
    return {"binance-spot": here, "okx": here}


@dataclass
class LoopbackExchange:
    """Both exchanges on one port.

    `subscribed`: the connections to which frames are sent. `on_control(connection, text)` handles control messages.
    """

    depth: Depth
    on_control: OnControl
    subscribed: list[ServerConnection] = field(default_factory=list)

    def serve(self, port: int) -> AbstractAsyncContextManager[Server]:
        """Serve on loopback while the context is open."""
        return serve(self._handle, "127.0.0.1", port, compression=None, process_request=self._respond)

    async def _handle(self, connection: ServerConnection) -> None:
        path = connection.request.path if connection.request else ""
        async for text in connection:
            if path == CONTROL:
                await self.on_control(connection, str(text))
            elif "ubscribe" in str(text).lower():
                await self._acknowledge(connection, orjson.loads(text), path)
        if connection in self.subscribed:
            self.subscribed.remove(connection)

    async def _acknowledge(self, connection: ServerConnection, request: dict[str, Any], path: str) -> None:
        if path == BINANCE:
            await connection.send(orjson.dumps({"result": None, "id": request["id"]}), text=True)
        for argument in request.get("args", ()):
            answer = {"id": request["id"], "event": "subscribe", "arg": argument}
            await connection.send(orjson.dumps(answer), text=True)
        if connection not in self.subscribed:
            self.subscribed.append(connection)

    def _respond(self, connection: ServerConnection, request: Request) -> Response | None:
        path, _, query = request.path.partition("?")
        if not path.startswith("/api/"):
            return None
        return connection.respond(HTTPStatus.OK, orjson.dumps(self._body(path, query)).decode())

    def _body(self, path: str, query: str) -> dict[str, Any]:
        now = time.time_ns() // 1_000_000
        if path.startswith("/api/v5/"):
            if path.endswith("/time"):
                return {"code": "0", "data": [{"ts": str(now)}]}
            rows = [row for row in _OKX_INSTRUMENTS if row["instType"] in query]
            return {"code": "0", "data": rows}
        if path.endswith("/depth"):
            return self.depth(dict(part.split("=") for part in query.split("&"))["symbol"])
        return {"serverTime": now, "symbols": _BINANCE_SYMBOLS}
