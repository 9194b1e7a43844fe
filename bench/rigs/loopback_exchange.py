"""The least that ingest asks of Binance spot and of OKX: definitions, time and depth by REST, acknowledgements.

Frames leave as bytes that were made before, several in one write, so that the sender is not what is measured.
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

BINANCE, OKX, CONTROL = "/stream", "/ws/v5/public", "/control"  # the paths; `CONTROL` is the benchmark's own
SUBSCRIBE = {BINANCE: '{"method":"SUBSCRIBE","params":[],"id":1}', OKX: '{"op":"subscribe","id":"1","args":[]}'}

_BASES = ("BTC", "ETH")
_INFO = [
    {"symbol": f"{base}USDT", "baseAsset": base, "quoteAsset": "USDT", "status": "TRADING", "filters": []}
    for base in _BASES
]
_ROWS = [{"instId": f"{base}-USDT", "state": "live"} for base in _BASES]

Depth = Callable[[str], dict[str, Any]]  # of a symbol: the body of the REST snapshot
Obey = Callable[[ServerConnection, str], Awaitable[None]]


def on_the_wire(frame: bytes) -> bytes:
    """A text frame as a server sends it."""
    return Frame(Opcode.TEXT, frame).serialize(mask=False)


def endpoints(port: int) -> dict[str, dict[str, str]]:
    """Ingest's setting `endpoints` for an exchange on that port."""
    here = {"ws": f"ws://127.0.0.1:{port}", "rest": f"http://127.0.0.1:{port}"}
    return {"binance-spot": here, "okx": here}


@dataclass
class LoopbackExchange:
    """`subscribed`: the connections that frames go to. `obey(connection, text)` is called with each control message."""

    depth: Depth
    obey: Obey
    subscribed: list[ServerConnection] = field(default_factory=list)

    def serve(self, port: int) -> AbstractAsyncContextManager[Server]:
        return serve(self._handle, "127.0.0.1", port, compression=None, process_request=self._answer)

    async def _handle(self, connection: ServerConnection) -> None:
        path = connection.request.path if connection.request else ""
        async for text in connection:
            if path == CONTROL:
                await self.obey(connection, str(text))
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

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        path, _, query = request.path.partition("?")
        if not path.startswith("/api/"):
            return None
        return connection.respond(HTTPStatus.OK, orjson.dumps(self._body(path, query)).decode())

    def _body(self, path: str, query: str) -> dict[str, Any]:
        now = time.time_ns() // 1_000_000
        if path.startswith("/api/v5/"):
            rows = [{"ts": str(now)}] if path.endswith("/time") else _ROWS * ("SPOT" in query)
            return {"code": "0", "data": rows}
        if path.endswith("/depth"):
            return self.depth(dict(part.split("=") for part in query.split("&"))["symbol"])
        return {"serverTime": now, "symbols": _INFO}
